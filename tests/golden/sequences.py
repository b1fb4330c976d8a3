"""Layers for sequences: recurrent ones, attention, transformers."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recorder import seed


def packed(net, x, lengths):
    """Sequences of different lengths."""
    output, state = net(pack_padded_sequence(x, lengths, enforce_sorted=False))
    return pad_packed_sequence(output)[0], state


def recurrent(golden):
    for kind, options in (
        ("RNN", {}),
        ("RNN_relu", {"nonlinearity": "relu"}),
        ("LSTM", {}),
        ("GRU", {}),
    ):
        make = getattr(nn, kind[:4].rstrip("_"))
        lstm = kind == "LSTM"

        def initial(net, x, h, c=None):
            return net(x, h if c is None else (h, c))

        def case(name, inputs, call=None, hidden=4, **more):
            golden.layer(f"{kind}/{name}", lambda: make(3, hidden, **options, **more), *inputs, call=call)

        x = (5, 2, 3)

        def state(count):
            return [(count, 2, 4)] * (2 if lstm else 1)

        case("plain", [x])
        case("wide", [(3, 3, 3)], hidden=17)
        case("no_bias", [x], bias=False)
        case("batch_first", [(2, 5, 3)], batch_first=True)
        case("layers", [x], num_layers=3)
        case("bidirectional", [x], bidirectional=True)
        case("initial", [x, *state(1)], initial)
        case("all", [(2, 5, 3), *state(4)], initial, num_layers=2, bidirectional=True, batch_first=True)
        case("unbatched", [x[::2]], num_layers=2, bidirectional=True)
        case("unbatched_all", [x[::2], *[(1, 4)] * (2 if lstm else 1)], initial, batch_first=True)
        case("lengths", [x, torch.tensor([3, 5])], packed, num_layers=2, bidirectional=True)
    for kind, options in (
        (nn.RNNCell, {"relu": {"nonlinearity": "relu"}}),
        (nn.LSTMCell, {}),
        (nn.GRUCell, {}),
    ):
        states = [(2, 4)] * (2 if kind is nn.LSTMCell else 1)

        def call(net, x, h, c=None):
            return net(x, h if c is None else (h, c))

        golden.layer(f"{kind.__name__}/plain", lambda: kind(3, 4), (2, 3), *states, call=call)
        golden.layer(f"{kind.__name__}/no_state", lambda: kind(3, 4), (2, 3))
        golden.layer(f"{kind.__name__}/no_bias", lambda: kind(3, 4, bias=False), (2, 3), *states, call=call)
        for name, more in options.items():
            golden.layer(f"{kind.__name__}/{name}", lambda: kind(3, 4, **more), (2, 3), *states, call=call)


def not_allowed(length):
    """A causal mask in the way of nn.MultiheadAttention: true where attention is not allowed."""
    return torch.ones(length, length, dtype=torch.bool).triu(1)


def multihead_attention(golden):
    def case(name, inputs, call, **options):
        make = {"embed_dim": 6, "num_heads": 2, "batch_first": True, **options}
        golden.layer(f"MultiheadAttention/{name}", lambda: nn.MultiheadAttention(**make), *inputs, call=call)

    seed("masks")
    x, query, memory = (2, 4, 6), (2, 3, 6), (2, 4, 6)

    def same(net, x):
        return net(x, x, x, need_weights=False)

    def masked(net, x, mask):
        return net(x, x, x, attn_mask=mask, need_weights=False)

    case("plain", [x], same)
    case("one_head", [x], same, num_heads=1)
    case("no_bias", [x], same, bias=False)
    case("sequence_first", [(4, 2, 6)], same, batch_first=False)
    case("unbatched", [(4, 6)], same)
    case("cross", [query, memory, memory], lambda net, q, k, v: net(q, k, v, need_weights=False))
    case("causal", [x, not_allowed(4)], masked)
    case("additive_mask", [x, not_allowed(4).double() * -2.5], masked)
    padding = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 1]], dtype=torch.bool)
    case(
        "key_padding_mask",
        [x, padding],
        lambda net, x, mask: net(x, x, x, key_padding_mask=mask, need_weights=False),
    )
    each = torch.rand(4, 4, 4) < 0.3
    each[:, :, 0] = False  # a query that may look at nothing gives NaN in PyTorch
    case("mask_each", [x, each], masked)
    other = [query, (2, 4, 5), (2, 4, 7)]
    case("dims", other, lambda net, q, k, v: net(q, k, v, need_weights=False), kdim=5, vdim=7)
    case("kdim", [query, (2, 4, 5), memory], lambda net, q, k, v: net(q, k, v, need_weights=False), kdim=5, bias=False)
    case("weights", [query, memory], lambda net, q, k: net(q, k, k))
    case("weights_unbatched", [(3, 6), (4, 6)], lambda net, q, k: net(q, k, k), batch_first=False)
    case(
        "weights_heads",
        [x, padding],
        lambda net, x, mask: net(x, x, x, key_padding_mask=mask, average_attn_weights=False),
    )


def transformer(golden):
    padding = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 1]], dtype=torch.bool)
    for name, options in {
        "relu": {},
        "gelu": {"activation": "gelu"},
        "norm_first": {"norm_first": True},
        "norm_first_gelu": {"norm_first": True, "activation": "gelu"},
        "sequence_first": {"batch_first": False},
    }.items():
        settings = {"d_model": 6, "nhead": 2, "dim_feedforward": 5, "dropout": 0, "batch_first": True, **options}

        def encoder():
            return nn.TransformerEncoderLayer(**settings)

        def decoder():
            return nn.TransformerDecoderLayer(**settings)

        golden.layer(f"TransformerEncoderLayer/{name}", encoder, (2, 4, 6))
        target, memory = ((2, 3, 6), (2, 4, 6)) if settings["batch_first"] else ((3, 2, 6), (4, 2, 6))
        golden.layer(f"TransformerDecoderLayer/{name}", decoder, target, memory)
        if name == "relu":
            golden.layer("TransformerEncoderLayer/causal", encoder, (2, 4, 6), not_allowed(4))
            golden.layer(
                "TransformerEncoderLayer/padding",
                encoder,
                (2, 4, 6),
                padding,
                call=lambda net, x, mask: net(x, src_key_padding_mask=mask),
            )
            golden.layer(
                "TransformerDecoderLayer/causal",
                decoder,
                target,
                memory,
                not_allowed(3),
                call=lambda net, x, memory, mask: net(x, memory, tgt_mask=mask),
            )
