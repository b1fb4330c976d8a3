"""Whole models: their state dicts, each a file as PyTorch users save them, and what they compute."""

import torch
from torch import nn

from recorder import random, randomise, seed, write_safetensors


class Classifier(nn.Module):
    """Words in, classes out, by way of an LSTM."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.lstm = nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(10, 3)

    def forward(self, words):
        return self.head(self.lstm(self.embedding(words))[0][:, -1])


class Encoder(nn.Module):
    """A small language model, that looks both ways."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 6)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(6, 2, dim_feedforward=8, dropout=0.1, batch_first=True) for _ in range(2)
        )
        self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, 10, bias=False)

    def forward(self, words):
        x = self.embedding(words)
        for layer in self.layers:
            x = layer(x)
        return self.out(self.norm(x))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


def models(golden, folder):
    words = torch.tensor([[1, 2, 3, 4], [9, 0, 9, 5]])
    for name, make in {"cnn": cnn, "lstm": Classifier, "transformer": Encoder}.items():
        seed(name)
        model = make().eval()
        randomise(model)
        model.float()
        x = random(2, 1, 8, 8) if name == "cnn" else words
        write_safetensors(folder / f"{name}.safetensors", model.state_dict())

        def run(dtype):
            return {"output.0": model.to(dtype)(x.to(dtype) if x.is_floating_point() else x)}

        golden.record(name, {"input.0": x}, run)
