#!/usr/bin/env python3
"""Writes onnx.safetensors: the tests of ONNX's operators that tests/onnx_test.cpp runs in Gradus.

They are the "backend node tests" of ONNX 1.12 (https://github.com/onnx/onnx, Apache License 2.0), together with those
models of one operator that PyTorch once exported. Needs Debian's python3-onnx, libonnx-testdata and python3-torch; the
tests themselves need no Python. The file is part of the repository; after a change here, or with another ONNX:

  /usr/bin/python3 tests/conformance/onnx_nodes.py

The tensors have numbers; equal ones, of which there are many, are there once. A case stands in the file's metadata, as
"Conv inputs=12,13 outputs=14 pads=1,1,1,1", with nothing for a tensor that is not given, or not compared. Integers of
all types become int64, which is the only one that Gradus has. What is left out, and why, is printed.
"""

import collections
import sys
from pathlib import Path

import numpy
import onnx
import torch
from onnx import helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

folder = Path(__file__).parent
sys.path.append(str(folder.parent / "golden"))
from recorder import bytes_of, write_safetensors  # noqa: E402

KINDS = ["node", "pytorch-converted", "pytorch-operator", "simple"]
LARGEST = 25_000  # bytes of a case; the few larger ones would need 13 MB
# Other cases, for the most part those called "precomputed", have the same settings.
LARGE = set(
    """PReLU_3d averagepool_2d_default averagepool_2d_pads averagepool_2d_pads_count_include_pad averagepool_2d_strides
    maxpool_2d_default maxpool_2d_pads maxpool_2d_strides""".split()
)

# What Gradus has, alone or as a short expression of several operations.
OPERATORS = set(
    """Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Ceil Celu
    Clip Concat ConstantOfShape Conv ConvTranspose Cos Cosh DepthToSpace Div Dropout Elu Equal Erf Exp Expand Flatten
    Floor GRU Gather GatherElements Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish
    Hardmax InstanceNormalization IsInf IsNaN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul
    Max MaxPool Mean Min Momentum Mul Neg NegativeLogLikelihoodLoss Not OneHot Or PRelu Pad Pow RNN Range Reciprocal
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceSum ReduceSumSquare Relu Reshape
    Resize Round ScatterElements Selu Sigmoid Sign Sin Sinh Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign
    SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile Transpose Trilu Unsqueeze Upsample Where
    Xor""".split()
)
# Of these the outputs beyond the first are not compared: the places of the maxima, and what dropout kept.
FIRST_OUTPUT = {"MaxPool", "Dropout"}


class LeftOut(Exception):
    """Why a case cannot be recorded."""


def attributes_of(node):
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value).item()
        yield attribute.name, value


def missing_in_gradus(operator, attributes, inputs, opset):
    """A feature that Gradus does not have. Where it has one, but deliberately another, onnx_test.cpp says so."""
    if operator in {"Conv", "ConvTranspose", "AveragePool", "MaxPool", "BatchNormalization"} and inputs[0].dim() > 4:
        return "three spatial dimensions"
    if operator in {"Pad", "Resize"} and attributes.get("mode") not in {None, "constant", "nearest", "linear"}:
        return f"{operator}, mode {attributes['mode']}"
    if attributes.get("coordinate_transformation_mode", "").startswith("tf_"):
        return "TensorFlow's coordinates"
    if operator == "Dropout" and len(inputs) > 2 and inputs[1].item() > 0 and inputs[2].item():
        return "random numbers"
    if operator == "LSTM" and len(inputs) > 7:
        return "peepholes"
    if operator == "Add" and "axis" in attributes and opset < 7:
        return "broadcasting before ONNX 1.2"
    return None


def tensor_of(proto, declared=None):
    """`declared` is the model's type of an input or output: in the files, bfloat16 are stored as uint16."""
    kind = declared or proto.data_type
    if kind == onnx.TensorProto.STRING:
        raise LeftOut("strings, sequences and optional values")
    if kind == onnx.TensorProto.FLOAT16:
        raise LeftOut("float16")
    values = numpy_helper.to_array(proto)
    if kind == onnx.TensorProto.BFLOAT16:
        return torch.from_numpy(values.view(numpy.int16).copy()).view(torch.bfloat16)
    if numpy.issubdtype(values.dtype, numpy.integer):
        if values.size and values.max() > numpy.iinfo(numpy.int64).max:
            raise LeftOut("integers beyond int64")
        values = values.astype(numpy.int64)
    return torch.from_numpy(numpy.array(values))


def read_tensors(files, values):
    """The tensors of input_0.pb, input_1.pb, …, which `values` describe."""
    for file, value in zip(files, values, strict=True):
        if value.type.WhichOneof("value") != "tensor_type":
            raise LeftOut("strings, sequences and optional values")
        yield value.name, tensor_of(onnx.load_tensor(file), value.type.tensor_type.elem_type)


def data_files(folder, kind):
    return sorted(folder.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.rpartition("_")[2]))


def read_case(folder):
    """The operator of a case, its attributes, and its input and output tensors, some of which are None."""
    model = onnx.load(folder / "model.onnx")
    constants = [node for node in model.graph.node if node.op_type == "Constant"]
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    if len(nodes) != 1:
        raise LeftOut("several operators")
    node = nodes[0]
    if node.op_type not in OPERATORS:
        raise LeftOut("operators that Gradus does not have")
    data = folder / "test_data_set_0"
    if folder.name.removeprefix("test_") in LARGE or sum(f.stat().st_size for f in data.iterdir()) > LARGEST:
        raise LeftOut("too large")

    known = {proto.name: tensor_of(proto) for proto in model.graph.initializer}
    known |= {constant.output[0]: tensor_of(constant.attribute[0].t) for constant in constants}
    known |= read_tensors(data_files(data, "input"), [value for value in model.graph.input if value.name not in known])
    expected = dict(read_tensors(data_files(data, "output"), model.graph.output))

    attributes = dict(attributes_of(node))
    inputs = [known[name] if name else None for name in node.input]
    if reason := missing_in_gradus(node.op_type, attributes, inputs, model.opset_import[0].version):
        raise LeftOut(reason)
    compared = node.output[:1] if node.op_type in FIRST_OUTPUT else node.output
    outputs = [expected[name] if name and name in compared else None for name in node.output]
    return node.op_type, attributes, inputs, outputs


class Tensors:
    """The tensors of the file by number."""

    def __init__(self):
        self.by_number, self.numbers = {}, {}

    def number(self, tensor):
        if tensor is None:
            return ""
        key = (tensor.dtype, tensor.shape, bytes_of(tensor))
        number = self.numbers.setdefault(key, str(len(self.numbers)))
        self.by_number[number] = tensor
        return number


def describe(operator, attributes, inputs, outputs, tensors):
    lists = {"inputs": [tensors.number(tensor) for tensor in inputs], "outputs": [tensors.number(x) for x in outputs]}
    settings = {key: ",".join(map(str, x)) if isinstance(x, list) else x for key, x in (lists | attributes).items()}
    return " ".join([operator, *(f"{key}={value}" for key, value in settings.items())])


cases, tensors, left_out = {}, Tensors(), collections.defaultdict(list)
for test in sorted((test for kind in KINDS for test in load_model_tests(kind=kind)), key=lambda test: test.name):
    name = test.name.removeprefix("test_")
    try:
        assert name not in cases, name
        cases[name] = describe(*read_case(Path(test.model_dir)), tensors)
    except LeftOut as reason:
        left_out[str(reason)].append(name)

path = folder / "onnx.safetensors"
write_safetensors(path, tensors.by_number, cases | {"source": f"https://github.com/onnx/onnx, version {onnx.__version__}"})
for reason, names in sorted(left_out.items()):
    print(f"left out {len(names)}: {reason}" + (f" ({', '.join(names)})" if len(names) < 20 else ""))
print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1000:.0f} kB")
