"""Runs a layer or a function in PyTorch and keeps what went in and what came out, for a safetensors file."""

import copy
import json
import math
import struct
import zlib

import torch

DTYPES = {"float32": torch.float32, "float64": torch.float64}
NAMES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.bool: "BOOL",
}


def bytes_of(tensor):
    plain = tensor.detach().contiguous()
    return (plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain).numpy().tobytes()


def write_safetensors(path, tensors, metadata=None):
    """https://huggingface.co/docs/safetensors: the length of the header, the header (JSON), the values."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, tensor in sorted(tensors.items()):
        values = bytes_of(tensor)
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(values)],
        }
        data += values
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def seed(name):
    torch.manual_seed(zlib.crc32(name.encode()))


def exact(values):
    """Rounded to what float32 holds, so that float32 and float64 compute with the same values."""
    return values.float().double()


def random(*shape):
    return exact(torch.randn(shape, dtype=torch.float64))


def leaf(values):
    """An input with these values whose gradient is wanted."""
    return exact(torch.as_tensor(values, dtype=torch.float64)).requires_grad_()


def randomise(module):
    """Values other than the initial ones, most of which (0 and 1) would hide mistakes."""
    for parameter in module.parameters():
        parameter.data = random(*parameter.shape) * 0.5
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point():
            buffer.data = exact(random(*buffer.shape).abs() + 0.5)


def flatten(result):
    if isinstance(result, torch.Tensor):
        return [result]
    return [tensor for part in result if part is not None for tensor in flatten(part)]


class Golden:
    """The cases of one file. What goes in is there once, in float32, as case/kind.name, such as
    Conv2d/stride/parameter.weight; what comes out once for each dtype, as case/dtype/kind.name, such as
    Conv2d/stride/float64/grad.parameter.weight."""

    def __init__(self, folder, name):
        self.path = folder / (name + ".safetensors")
        self.tensors = {}
        self.cases = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        write_safetensors(self.path, self.tensors)
        print(f"{self.path.name}: {self.cases} cases, {math.ceil(self.path.stat().st_size / 1024)} KiB")

    def record(self, case, given, run):
        """`run` computes in a dtype, and returns what came out by name; `given` is what went in."""
        self.cases += 1
        for name, tensor in given.items():
            tensor = tensor.detach()
            self._add(f"{case}/{name}", tensor.float() if tensor.is_floating_point() else tensor)
        for name, dtype in DTYPES.items():
            for key, tensor in run(dtype).items():
                self._add(f"{case}/{name}/{key}", tensor.detach().clone())

    def _add(self, name, tensor):
        assert name not in self.tensors, name
        self.tensors[name] = tensor

    def function(self, case, function, *inputs):
        self.layer(case, torch.nn.Module, *inputs, call=lambda _, *x: function(*x))

    def layer(self, case, make, *inputs, call=None):
        """A forward and a backward pass of the module that make() gives. An input is a shape (random values, whose
        gradient is wanted), a tensor with requires_grad (the same, with these values), or any other tensor."""
        seed(case)
        module = make().double()
        randomise(module)
        call = call or (lambda net, *x: net(*x))
        inputs = [random(*x).requires_grad_() if isinstance(x, tuple) else x for x in inputs]
        given = {f"input.{i}": x for i, x in enumerate(inputs)}
        given |= {f"parameter.{name}": tensor.clone() for name, tensor in module.state_dict().items()}
        outputs = flatten(call(copy.deepcopy(module), *inputs))
        grad_outputs = [random(*y.shape) if y.requires_grad else None for y in outputs]
        given |= {f"grad_output.{i}": dy for i, dy in enumerate(grad_outputs) if dy is not None}

        def run(dtype):
            net = copy.deepcopy(module).to(dtype)
            x = [t.detach().to(dtype if t.is_floating_point() else t.dtype).requires_grad_(t.requires_grad) for t in inputs]
            y = flatten(call(net, *x))
            sum((y * dy.to(dtype)).sum() for y, dy in zip(y, grad_outputs) if dy is not None).backward()
            result = {f"output.{i}": output for i, output in enumerate(y)}
            for i, argument in enumerate(x):
                if argument.requires_grad:
                    result[f"grad.input.{i}"] = argument.grad
            result |= {f"grad.parameter.{name}": parameter.grad for name, parameter in net.named_parameters()}
            return result | {f"after.{name}": buffer for name, buffer in net.named_buffers()}

        self.record(case, given, run)
