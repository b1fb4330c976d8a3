"""Optimisers, learning rate schedules, gradient clipping."""

import math

import torch
from torch.optim import lr_scheduler

from recorder import random, seed


def optimizers(golden):
    """Ten steps on a layer with a tanh: the parameters after each of them, the optimiser's state after the last."""

    def case(name, make):
        def run(dtype):
            x, y, weight, bias = (tensor.clone().to(dtype) for tensor in given.values())
            parameters = [weight.requires_grad_(), bias.requires_grad_()]
            optimizer = make(parameters)
            steps = []
            for _ in range(10):
                optimizer.zero_grad()
                ((torch.tanh(x @ weight + bias) - y) ** 2).mean().backward()
                optimizer.step()
                steps.append([parameter.detach().clone() for parameter in parameters])
            result = {f"steps.{i}": torch.stack(values) for i, values in enumerate(zip(*steps))}
            for number, state in optimizer.state_dict()["state"].items():
                result |= {f"state.{number}.{k}": v for k, v in state.items() if k != "step" and v is not None}
            return result

        golden.record(name, given, run)

    seed("optimizers")
    shapes = {"input.0": (5, 3), "input.1": (5, 4), "parameter.0": (3, 4), "parameter.1": (4,)}
    given = {key: random(*shape) for key, shape in shapes.items()}

    def cases(kind, **settings):
        for name, options in settings.items():
            case(f"{kind.__name__}/{name}", lambda parameters: kind(parameters, **options))

    cases(
        torch.optim.SGD,
        plain={"lr": 0.1},
        momentum={"lr": 0.1, "momentum": 0.9},
        dampening={"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
        nesterov={"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05},
        weight_decay={"lr": 0.1, "weight_decay": 0.1},
    )
    for kind in (torch.optim.Adam, torch.optim.AdamW):
        cases(
            kind,
            plain={},
            betas={"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4},
            weight_decay={"lr": 0.02, "weight_decay": 0.2},
            amsgrad={"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True, "weight_decay": 0.1},
        )
    cases(
        torch.optim.RMSprop,
        plain={},
        alpha={"lr": 0.02, "alpha": 0.7, "eps": 1e-3},
        momentum={"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1},
        centered={"lr": 0.02, "alpha": 0.9, "centered": True},
        all={"lr": 0.02, "alpha": 0.9, "centered": True, "momentum": 0.5, "weight_decay": 0.1},
    )
    cases(
        torch.optim.Adagrad,
        plain={},
        lr_decay={"lr": 0.1, "lr_decay": 0.3, "weight_decay": 0.1},
        initial={"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3},
    )
    case("SGD/groups", lambda p: torch.optim.SGD([{"params": p[:1], "lr": 0.1}, {"params": p[1:]}], lr=0.02, momentum=0.9))


def schedules(golden):
    """The learning rates of 20 steps, from an initial one of 0.1."""

    def case(name, make):
        def run(dtype):
            optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
            schedule, rates = make(optimizer), []
            for _ in range(20):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                schedule.step()
            return {"lr": torch.tensor(rates, dtype=dtype)}

        golden.record(name, {}, run)

    case("StepLR/default", lambda o: lr_scheduler.StepLR(o, 7))
    case("StepLR/gamma", lambda o: lr_scheduler.StepLR(o, 3, gamma=0.7))
    case("MultiStepLR/default", lambda o: lr_scheduler.MultiStepLR(o, [2, 11]))
    case("MultiStepLR/gamma", lambda o: lr_scheduler.MultiStepLR(o, [1, 4, 5, 15], gamma=0.5))
    case("ExponentialLR/gamma", lambda o: lr_scheduler.ExponentialLR(o, 0.9))
    case("LinearLR/default", lambda o: lr_scheduler.LinearLR(o))
    case("LinearLR/down", lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, total_iters=12))
    case("CosineAnnealingLR/default", lambda o: lr_scheduler.CosineAnnealingLR(o, 20))
    case("CosineAnnealingLR/min_and_up_again", lambda o: lr_scheduler.CosineAnnealingLR(o, 8, eta_min=0.02))
    case("OneCycleLR/default", lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=20, cycle_momentum=False))
    case(
        "OneCycleLR/all",
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.1, total_steps=24, pct_start=0.4, div_factor=10, final_div_factor=100, cycle_momentum=False
        ),
    )

    def warmup(optimizer):
        first = lr_scheduler.LinearLR(optimizer, 1 / 5, 1, total_iters=4)
        then = lr_scheduler.CosineAnnealingLR(optimizer, 15)
        return lr_scheduler.SequentialLR(optimizer, [first, then], [5])

    case("Warmup/cosine", warmup)


def clipping(golden):
    def case(name, clip):
        def run(dtype):
            parameters = [torch.zeros(grad.shape, dtype=dtype) for grad in given.values()]
            for parameter, grad in zip(parameters, given.values()):
                parameter.grad = grad.to(dtype, copy=True)
            norm = clip(parameters)
            result = {f"clipped.{i}": parameter.grad for i, parameter in enumerate(parameters)}
            return result if norm is None else result | {"norm": norm}

        golden.record(name, given, run)

    seed("clipping")
    given = {"grad.0": random(3, 4), "grad.1": random(5)}

    clip_norm, clip_value = torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_
    for name, norm_type in {"1": 1.0, "2": 2.0, "3": 3.0, "infinity": math.inf}.items():
        case(f"clip_grad_norm_/{name}", lambda p: clip_norm(p, 0.5, norm_type))
    case("clip_grad_norm_/small_already", lambda p: clip_norm(p, 100.0))
    case("clip_grad_value_/0.7", lambda p: clip_value(p, 0.7))
