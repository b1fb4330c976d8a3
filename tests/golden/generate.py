#!/usr/bin/env python3
"""Writes the files that the golden tests compare Gradus with: what PyTorch computes.

Needs PyTorch 1.13 or later, such as Debian's python3-torch; the tests themselves need no Python. The files are
part of the repository; run this after a change to the cases:  /usr/bin/python3 tests/golden/generate.py
"""

from pathlib import Path

import torch

import functions
import layers
import sequences
import training
from models import models
from recorder import Golden

FILES = {
    "activation": [functions.activations, layers.prelu],
    "attention": [functions.attentions],
    "clip": [training.clipping],
    "conv": [layers.convolution],
    "linear": [layers.linear],
    "loss": [functions.elementwise_losses, functions.class_losses],
    "norm": [layers.normalisation],
    "optimizer": [training.optimizers],
    "pool": [layers.pooling],
    "rnn": [sequences.recurrent],
    "schedule": [training.schedules],
    "transformer": [sequences.multihead_attention, sequences.transformer],
}

torch.set_num_threads(1)
folder = Path(__file__).parent
for name, families in FILES.items():
    with Golden(folder, name) as golden:
        for family in families:
            family(golden)
(folder / "models").mkdir(exist_ok=True)
with Golden(folder, "model") as golden:
    models(golden, folder / "models")
