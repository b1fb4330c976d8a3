"""Activations, losses and attention by its definition."""

import math

import torch
import torch.nn.functional as F

from recorder import exact, leaf, random, seed


def activations(golden):
    # Zero, where some have a kink, and values so large that a careless formula overflows.
    x = leaf([[-100, -30, -8, -5, -2.5, -2], [-1, -0.5, -0.1, -1e-3, 0, 1e-3], [0.1, 0.5, 1, 2, 2.5, 100]])
    for name, function in {
        "relu": F.relu,
        "leaky_relu": F.leaky_relu,
        "leaky_relu_0.2": lambda x: F.leaky_relu(x, 0.2),
        "elu": F.elu,
        "elu_0.7": lambda x: F.elu(x, 0.7),
        "selu": F.selu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "softplus": F.softplus,
        "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "softsign": F.softsign,
        "silu": F.silu,
        "mish": F.mish,
        "hardswish": F.hardswish,
        "softmax_0": lambda x: F.softmax(x, 0),
        "softmax_1": lambda x: F.softmax(x, 1),
        "log_softmax_0": lambda x: F.log_softmax(x, 0),
        "log_softmax_1": lambda x: F.log_softmax(x, 1),
    }.items():
        golden.function(name, function, x)
    golden.function("softmax_middle", lambda x: F.softmax(x, 1), (2, 5, 3))
    golden.function("log_softmax_middle", lambda x: F.log_softmax(x, 1), (2, 5, 3))


def elementwise_losses(golden):
    seed("losses")
    x, target = random(4, 3) * 2, random(4, 3)
    x[0, 0] = target[0, 0]  # the kink of l1_loss
    x[1] = target[1] + torch.tensor([0.25, -0.25, 0.125])
    probability = exact(torch.sigmoid(random(4, 3)))
    probability[0, :2] = torch.tensor([0.0, 1.0])
    distribution = exact(torch.softmax(random(4, 3), 1))
    distribution[2] = torch.tensor([0.0, 0.25, 0.75])
    logarithm = exact(torch.log_softmax(random(4, 3), 1))
    extreme = x.clone()
    extreme[3] = torch.tensor([-200.0, 200.0, 40.0])
    for reduction in ("none", "mean", "sum"):
        how = {"reduction": reduction}
        both = leaf(x), leaf(target)
        golden.function(f"mse_loss/{reduction}", lambda x, t: F.mse_loss(x, t, **how), *both)
        golden.function(f"l1_loss/{reduction}", lambda x, t: F.l1_loss(x, t, **how), *both)
        golden.function(f"huber_loss/{reduction}", lambda x, t: F.huber_loss(x, t, **how), *both)
        golden.function(f"huber_loss/delta_{reduction}", lambda x, t: F.huber_loss(x, t, delta=0.5, **how), *both)
        golden.function(f"smooth_l1_loss/{reduction}", lambda x, t: F.smooth_l1_loss(x, t, **how), *both)
        golden.function(f"smooth_l1_loss/beta_{reduction}", lambda x, t: F.smooth_l1_loss(x, t, beta=0.3, **how), *both)
        golden.function(
            f"binary_cross_entropy_with_logits/{reduction}",
            lambda x, t: F.binary_cross_entropy_with_logits(x, t, **how),
            leaf(extreme),
            probability,
        )
        weights = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
        golden.function(
            f"binary_cross_entropy_with_logits/weights_{reduction}",
            lambda x, t, w: F.binary_cross_entropy_with_logits(x, t, weight=w.flip(0), pos_weight=w, **how),
            leaf(extreme),
            leaf(probability),
            weights,
        )
        golden.function(
            f"kl_div/log_target_{reduction}",
            lambda x, t: F.kl_div(x, t, log_target=True, **how),
            leaf(logarithm),
            leaf(torch.log_softmax(target, 1)),
        )
        golden.function(f"kl_div/{reduction}", lambda x, t: F.kl_div(x, t, **how), leaf(logarithm), distribution)
    golden.function("kl_div/batchmean", lambda x, t: F.kl_div(x, t, reduction="batchmean"), leaf(logarithm), distribution)


def class_losses(golden):
    seed("classes")
    target = torch.tensor([2, 0, 3, 2, 1])
    ignored = torch.tensor([2, 1, 3, -100, 1])
    weight = torch.tensor([0.5, 2.0, 1.25, 0.75], dtype=torch.float64)
    probability = exact(torch.softmax(random(5, 4), 1))
    logits = random(5, 4) * 2
    logits[0] = torch.tensor([300.0, -300.0, 299.0, 0.0])
    logarithm = exact(torch.log_softmax(random(5, 4), 1))
    for reduction in ("none", "mean", "sum"):

        def case(name, *inputs, reduction=reduction, **options):
            def loss(x, t, *weight):
                return F.cross_entropy(x, t, *weight, reduction=reduction, **options)

            golden.function(f"cross_entropy/{name}_{reduction}", loss, leaf(logits), *inputs)

        case("classes", target)
        case("weight", target, weight)
        case("ignore", ignored)
        case("ignore_index", target, ignore_index=2)
        case("smoothing", target, label_smoothing=0.2)
        case("all", ignored, weight, label_smoothing=0.1)
        case("probabilities", leaf(probability))
        case("probabilities_all", leaf(probability), weight, label_smoothing=0.3)
        golden.function(
            f"nll_loss/{reduction}", lambda x, t: F.nll_loss(x, t, reduction=reduction), leaf(logarithm), target
        )
        golden.function(
            f"nll_loss/ignore_{reduction}", lambda x, t: F.nll_loss(x, t, reduction=reduction), leaf(logarithm), ignored
        )
        image, classes = (2, 4, 3, 2), torch.tensor([[[0, 1], [3, -100], [2, 2]], [[1, 1], [0, 3], [-100, 0]]])
        both = {"reduction": reduction, "label_smoothing": 0.1}
        golden.function(
            f"cross_entropy/image_{reduction}", lambda x, t: F.cross_entropy(x, t, reduction=reduction), image, classes
        )
        golden.function(
            f"cross_entropy/image_all_{reduction}",
            lambda x, t, w: F.cross_entropy(x, t, w, **both),
            image,
            classes,
            weight,
        )
        golden.function(
            f"cross_entropy/image_probabilities_{reduction}",
            lambda x, t, w: F.cross_entropy(x, t, w, **both),
            image,
            leaf(torch.softmax(random(*image), 1)),
            weight,
        )
        golden.function(
            f"nll_loss/image_weight_{reduction}",
            lambda x, t, w: F.nll_loss(x, t, w, reduction=reduction),
            image,
            classes,
            weight,
        )
        golden.function(
            f"nll_loss/weight_{reduction}",
            lambda x, t, w: F.nll_loss(x, t, w, reduction=reduction),
            leaf(logarithm),
            ignored,
            weight,
        )
    one = leaf([0.5, -1.0, 2.0])
    golden.function("cross_entropy/one", F.cross_entropy, one, torch.tensor(1))
    nothing = torch.tensor([-100, -100])
    golden.function("cross_entropy/nothing_sum", lambda x, t: F.cross_entropy(x, t, reduction="sum"), (2, 4), nothing)


def attention(query, key, value, mask=None, causal=False, scale=None):
    """softmax(QKᵀ/√d + mask)·V; a mask of truth values says where attention is allowed."""
    score = query @ key.transpose(-2, -1) * (scale or 1 / math.sqrt(query.size(-1)))
    if causal:
        mask = torch.ones(score.shape[-2:], dtype=torch.bool).tril()
    if mask is not None and mask.dtype == torch.bool:
        score = score.masked_fill(~mask, -math.inf)
    elif mask is not None:
        score = score + mask
    return torch.softmax(score, -1) @ value


def attentions(golden):
    name = "scaled_dot_product_attention/"
    query, key, value = (2, 2, 4, 3), (2, 2, 5, 3), (2, 2, 5, 4)
    allowed = torch.tensor([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [0, 1, 0, 1, 0]], dtype=torch.bool)
    seed("mask")
    golden.function(name + "plain", attention, query, key, value)
    golden.function(name + "three_dimensions", attention, query[1:], key[1:], value[1:])
    golden.function(name + "scale", lambda q, k, v: attention(q, k, v, scale=0.3), query, key, value)
    golden.function(name + "causal", lambda q, k, v: attention(q, k, v, causal=True), query, query, query)
    golden.function(name + "causal_longer", lambda q, k, v: attention(q, k, v, causal=True), query, key, value)
    # More positions than a kernel takes at a time.
    long = (1, 70, 5)
    golden.function(name + "long", lambda q, k, v: attention(q, k, v, causal=True), long, long, long)
    golden.function(name + "mask", attention, query, key, value, allowed)
    golden.function(name + "additive_mask", attention, query, key, value, random(4, 5))
    golden.function(name + "mask_each", attention, query, key, value, random(2, 1, 4, 5))
