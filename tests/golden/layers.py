"""Layers: linear, embedding, convolution, pooling, normalisation."""

import torch
from torch import nn

from recorder import leaf, random, seed


def prelu(golden):
    signs = leaf([[[-2.0, 0.0, 1.0], [0.5, -0.5, 3.0]], [[-1.0, 4.0, -8.0], [0.0, 2.0, -0.25]]])
    golden.layer("PReLU/one", lambda: nn.PReLU(), signs)
    golden.layer("PReLU/channels", lambda: nn.PReLU(2), signs)


def linear(golden):
    golden.layer("Linear/bias", lambda: nn.Linear(5, 3), (4, 5))
    golden.layer("Linear/no_bias", lambda: nn.Linear(5, 3, bias=False), (4, 5))
    golden.layer("Linear/one_row", lambda: nn.Linear(5, 3), (5,))
    golden.layer("Linear/three_dimensions", lambda: nn.Linear(5, 3), (2, 3, 5))
    index = torch.tensor([[0, 3, 1], [3, 5, 3]])
    golden.layer("Embedding/plain", lambda: nn.Embedding(6, 4), index)
    golden.layer("Embedding/padding_idx", lambda: nn.Embedding(6, 4, padding_idx=3), index)


def convolution(golden):
    for kind, shape in ((nn.Conv1d, (2, 2, 9)), (nn.Conv2d, (2, 2, 7, 6))):
        for name, channels, kernel, options in (
            ("plain", 3, 3, {}),
            ("no_bias", 3, 3, {"bias": False}),
            ("one_by_one", 3, 1, {}),
            ("stride", 3, 3, {"stride": 2}),
            ("padding", 3, 3, {"padding": 1}),
            ("stride_padding", 3, 3, {"stride": 3, "padding": 2}),
            ("same", 3, 3, {"padding": "same"}),
            ("same_even", 3, 4, {"padding": "same"}),
            ("same_dilation", 3, 3, {"padding": "same", "dilation": 2}),
            ("dilation", 3, 2, {"dilation": 3}),
            ("groups", 4, 3, {"groups": 2, "padding": 1}),
            ("depthwise", 4, 3, {"groups": 2, "stride": 2, "padding": 1, "bias": False}),
        ):
            golden.layer(
                f"{kind.__name__}/{name}",
                lambda: kind(2, channels, kernel, **options),
                shape,
            )
    sizes = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
    golden.layer("Conv2d/both_sizes", lambda: nn.Conv2d(2, 3, **sizes), (2, 2, 7, 6))
    # The sizes at which a fast 3x3 kernel changes its tiles.
    golden.layer("Conv2d/three_by_three", lambda: nn.Conv2d(3, 4, 3, padding=1), (1, 3, 9, 11))
    golden.layer("Conv2d/many_channels", lambda: nn.Conv2d(17, 9, 3, padding=1), (1, 17, 5, 6))

    for kind, shape in ((nn.ConvTranspose1d, (2, 2, 5)), (nn.ConvTranspose2d, (2, 2, 4, 3))):
        for name, channels, kernel, options in (
            ("plain", 3, 3, {}),
            ("no_bias", 3, 3, {"bias": False}),
            ("stride", 3, 2, {"stride": 2}),
            ("padding", 3, 3, {"stride": 2, "padding": 1}),
            ("output_padding", 3, 3, {"stride": 2, "padding": 1, "output_padding": 1}),
            ("dilation", 3, 2, {"dilation": 2, "stride": 2}),
            ("groups", 4, 3, {"groups": 2, "stride": 2}),
        ):
            golden.layer(
                f"{kind.__name__}/{name}",
                lambda: kind(2, channels, kernel, **options),
                shape,
            )
    golden.layer("Conv1d/unbatched", lambda: nn.Conv1d(2, 3, 3), (2, 9))
    golden.layer("Conv2d/unbatched", lambda: nn.Conv2d(2, 3, 3), (2, 7, 6))
    golden.layer("ConvTranspose1d/unbatched", lambda: nn.ConvTranspose1d(2, 3, 3), (2, 5))
    golden.layer("ConvTranspose2d/unbatched", lambda: nn.ConvTranspose2d(2, 3, 3), (2, 4, 3))
    sizes = {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2)}
    golden.layer("ConvTranspose2d/both_sizes", lambda: nn.ConvTranspose2d(2, 3, **sizes), (2, 2, 4, 3))


def pooling(golden):
    shapes = {1: (2, 2, 9), 2: (2, 2, 7, 6)}
    for dimensions, shape in shapes.items():
        largest, average = getattr(nn, f"MaxPool{dimensions}d"), getattr(nn, f"AvgPool{dimensions}d")
        for name, options in {
            "plain": {"kernel_size": 2},
            "stride": {"kernel_size": 3, "stride": 2},
            "overlap": {"kernel_size": 3, "stride": 1},
            "padding": {"kernel_size": 3, "stride": 2, "padding": 1},
            "ceil_mode": {"kernel_size": 2, "ceil_mode": True},
            "ceil_mode_padding": {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        }.items():
            golden.layer(f"{largest.__name__}/{name}", lambda: largest(**options), shape)
            golden.layer(f"{average.__name__}/{name}", lambda: average(**options), shape)
        no_padding = {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}
        golden.layer(f"{average.__name__}/count_include_pad", lambda: average(**no_padding), shape)
        golden.layer(
            f"{average.__name__}/count_include_pad_ceil_mode", lambda: average(**no_padding, ceil_mode=True), shape
        )
        golden.layer(f"{largest.__name__}/dilation", lambda: largest(2, stride=1, dilation=2), shape)
        # Equal values, as after a relu: the gradient goes to the first.
        seed("ties")
        ties = leaf(random(*shape).relu().round())
        golden.layer(f"{largest.__name__}/ties", lambda: largest(3, stride=2, padding=1), ties)
        for kind in ("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"):
            if kind.endswith(f"{dimensions}d"):
                for size in (1, 3, 4):
                    golden.layer(f"{kind}/{size}", lambda: getattr(nn, kind)(size), shape)
        golden.layer(f"{largest.__name__}/unbatched", lambda: largest(2), shape[1:])
        golden.layer(f"{average.__name__}/unbatched", lambda: average(2), shape[1:])
    both = {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)}
    golden.layer("MaxPool2d/both_sizes", lambda: nn.MaxPool2d(**both), shapes[2])
    golden.layer("AvgPool2d/both_sizes", lambda: nn.AvgPool2d(**both), shapes[2])
    golden.layer("AdaptiveAvgPool2d/both_sizes", lambda: nn.AdaptiveAvgPool2d((2, 3)), shapes[2])
    golden.layer("AdaptiveMaxPool2d/both_sizes", lambda: nn.AdaptiveMaxPool2d((2, 3)), shapes[2])
    for name, options in {
        "nearest_2": {"scale_factor": 2},
        "nearest_3": {"scale_factor": 3},
        "nearest_1.5": {"scale_factor": 1.5},
        "nearest_size": {"size": (5, 3)},
        "bilinear_2": {"scale_factor": 2, "mode": "bilinear"},
        "bilinear_1.5": {"scale_factor": 1.5, "mode": "bilinear"},
        "bilinear_0.5": {"scale_factor": 0.5, "mode": "bilinear"},
        "bilinear_size": {"size": (5, 3), "mode": "bilinear"},
        "align_corners": {"scale_factor": 2, "mode": "bilinear", "align_corners": True},
        "align_corners_size": {"size": (1, 7), "mode": "bilinear", "align_corners": True},
    }.items():
        golden.layer(f"Upsample/{name}", lambda: nn.Upsample(**options), (2, 2, 3, 4))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimension; later versions of PyTorch have it."""

    def __init__(self, size, eps=None):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        eps = torch.finfo(x.dtype).eps if self.eps is None else self.eps
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * self.weight


def normalisation(golden):
    for kind, shapes in (
        (nn.BatchNorm1d, {"": (5, 3), "sequence_": (4, 3, 5)}),
        (nn.BatchNorm2d, {"": (3, 3, 4, 2)}),
    ):
        for prefix, shape in shapes.items():
            for name, options in {
                "train": {},
                "momentum": {"momentum": 0.3, "eps": 1e-2},
                "momentum_none": {"momentum": None},
                "no_affine": {"affine": False},
                "no_running_statistics": {"track_running_stats": False},
            }.items():
                golden.layer(f"{kind.__name__}/{prefix}{name}", lambda: kind(3, **options), shape)
            golden.layer(f"{kind.__name__}/{prefix}eval", lambda: kind(3).eval(), shape)

            def twice(net, x, y):
                return net(x), net(y)

            golden.layer(
                f"{kind.__name__}/{prefix}twice", lambda: kind(3, momentum=None), shape, shape, call=twice
            )
    golden.layer("LayerNorm/plain", lambda: nn.LayerNorm(6), (4, 6))
    golden.layer("LayerNorm/three_dimensions", lambda: nn.LayerNorm(6, eps=1e-2), (2, 3, 6))
    golden.layer("LayerNorm/two_of_three", lambda: nn.LayerNorm((3, 4)), (2, 3, 4))
    golden.layer("LayerNorm/no_affine", lambda: nn.LayerNorm(6, elementwise_affine=False), (4, 6))
    golden.layer("GroupNorm/plain", lambda: nn.GroupNorm(2, 4), (3, 4, 5))
    golden.layer("GroupNorm/image", lambda: nn.GroupNorm(3, 6, eps=1e-2), (2, 6, 3, 2))
    golden.layer("GroupNorm/one_group", lambda: nn.GroupNorm(1, 4), (3, 4, 5))
    golden.layer("GroupNorm/no_affine", lambda: nn.GroupNorm(2, 4, affine=False), (3, 4, 5))
    for kind, shape in ((nn.InstanceNorm1d, (2, 3, 5)), (nn.InstanceNorm2d, (2, 3, 4, 2))):
        golden.layer(f"{kind.__name__}/plain", lambda: kind(3), shape)
        golden.layer(f"{kind.__name__}/affine", lambda: kind(3, affine=True, eps=1e-2), shape)
        tracked = {"affine": True, "track_running_stats": True}
        golden.layer(f"{kind.__name__}/tracked", lambda: kind(3, momentum=0.3, **tracked), shape)
        golden.layer(f"{kind.__name__}/tracked_eval", lambda: kind(3, **tracked).eval(), shape)
        golden.layer(f"{kind.__name__}/unbatched", lambda: kind(3), shape[1:])
    golden.layer("RMSNorm/plain", lambda: RMSNorm(6), (4, 6))
    golden.layer("RMSNorm/eps", lambda: RMSNorm(6, eps=1e-5), (4, 6))
    golden.layer("RMSNorm/three_dimensions", lambda: RMSNorm(6, eps=1e-2), (2, 3, 6))
