"""Shows tensors, shapes, steps and tapes in gdb. Only memory is read, nothing of the program is called: so it works at
-O2 and on core dumps. What the steps are is seen from their virtual tables, whether or not the library has debugging
information. Values in the memory of a GPU are not read."""

import re
import struct

import gdb
import gdb.printing

DTYPES = (("float32", "f", 4), ("float64", "d", 8), ("bfloat16", "H", 2), ("int64", "q", 8), ("bool", "?", 1))
INVALID = "invalid: freed or not yet made"


class Invalid(Exception):
    """What lies there is no such object."""


def guarded(text):
    """text() where the memory may hold anything."""
    try:
        return text()
    except (Invalid, gdb.MemoryError):
        return INVALID


def shape_of(value):
    dim = int(value["dim_"])
    if not 0 <= dim <= 8:
        raise Invalid
    return [int(value["sizes_"][i]) for i in range(dim)]


def shape_text(sizes):
    return "[" + ", ".join(map(str, sizes)) + "]"


def dtype_of(value):
    number = int(value)
    if number >= len(DTYPES):
        raise Invalid
    return DTYPES[number]


def device_of(storage):
    return "cuda:%d" % int(storage["device_"]["index"]) if int(storage["device_"]["kind"]) else "cpu"


class Object:
    """What lies at an address. gdb.Value would look for the type that a Node really is, and warn if it finds none."""

    def __init__(self, address, type):
        self.address, self.type = address, type.unqualified()

    def __getitem__(self, name):
        for field in self.type.fields():
            address = self.address + field.bitpos // 8 if hasattr(field, "bitpos") else 0  # static ones have none
            if field.name == name:
                return gdb.Value(address).cast(field.type.pointer()).dereference()
            if field.is_base_class and any(each.name == name for each in field.type.fields()):
                return Object(address, field.type)[name]
        raise Invalid


def target(ref):
    """What a Ref points to; None if it is null, or the library's debugging information was stripped off."""
    pointer = ref["object_"]
    result = Object(int(pointer), pointer.type.target())
    if not result.address or not result.type.strip_typedefs().fields():
        return None
    if not 0 < int(result["references_"]["value_"]["_M_i"]) < 1 << 32:
        raise Invalid
    return result


def bytes_at(address, count):
    return gdb.selected_inferior().read_memory(address, count).tobytes()


def std_string(value):
    data, size = int(value["_M_dataplus"]["_M_p"]), int(value["_M_string_length"])
    return bytes_at(data, min(size, 200)).decode(errors="replace") if size else ""


class Step:
    """A Node."""

    def __init__(self, node):
        self.shape = shape_of(node["shape_"])
        self.requires_grad = bool(node["requires_grad_"])
        self.grad = TensorPrinter(node["grad_"]).to_string()
        extra = target(node["extra_"])
        self.name = std_string(extra["name"]) if extra else ""
        file, line = node["where_"]["file"], int(node["where_"]["line"])
        self.where = "%s:%d" % (file.string().split("/")[-1], line) if int(file) else ""

        # "vtable for gradus::detail::Step<gradus::formula::Tanh, 1ul> + 16 in section .data.rel.ro"
        (table,) = struct.unpack("P", bytes_at(node.address, 8))
        symbol = gdb.execute("info symbol %d" % table, to_string=True)
        found = re.match(r"vtable for (.*?)(?: \+ \d+)? in section", symbol)
        kind = found.group(1) if found else "?"
        applied = re.match(r"gradus::detail::Step<(.*), (\d+)", kind)
        end = node.address + node.type.sizeof  # where the members of the derived class begin
        if kind == "gradus::Constant":
            self.name = "%g" % struct.unpack("d", bytes_at(end, 8))
        last = re.sub(r"<.*", "", applied.group(1) if applied else kind).split("::")[-1]
        self.operation = "leaf" if node["is_leaf_"] else last
        # The inputs of a Step lie there; of others they are not told.
        count = int(applied.group(2)) if applied else 0
        pointers = struct.unpack("%dP" % count, bytes_at(end, 8 * count))
        self.inputs = [Object(each, node.type) if each else None for each in pointers]

    def __str__(self):
        name = ' "%s"' % self.name if self.name else ""
        where = " (%s)" % self.where if self.where else ""
        return "%s%s %s%s" % (self.operation, name, shape_text(self.shape), where)


def values_text(body, storage):
    """As in Python, of long dimensions the edges."""
    sizes, strides = shape_of(body["shape"]), shape_of(body["strides"])
    _, code, size = dtype_of(body["dtype"])
    begin = int(storage["data_"]) + int(body["offset"]) * size
    count = 1
    for each in sizes:
        count *= each
    edge = 3 if len(sizes) <= 2 else 1

    def text(dim, address):
        if dim == len(sizes):
            (value,) = struct.unpack(code, bytes_at(address, size))
            if code == "H":
                (value,) = struct.unpack("f", struct.pack("I", value << 16))
            return "%.6g" % value if code in "fdH" else str(value).lower()
        shown = [text(dim + 1, address + i * strides[dim] * size) if i is not None else "..." for i in places(sizes[dim])]
        return "[" + ", ".join(shown) + "]"

    def places(length):
        if count <= 100 or length <= 2 * edge:
            return range(length)
        return [*range(edge), None, *range(length - edge, length)]

    return text(0, begin)


class TensorPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return guarded(self.text)

    def text(self):
        body = target(self.value["body_"])
        if body is None:
            return "undefined tensor"
        storage = target(body["storage"])
        if storage is None:
            raise Invalid
        node = target(body["node"])
        name = Step(node).name if node is not None else ""
        head = "tensor %s %s%s %s" % (shape_text(shape_of(body["shape"])), dtype_of(body["dtype"])[0],
                                      ' "%s"' % name if name else "", device_of(storage))
        return head + " = " + (values_text(body, storage) if device_of(storage) == "cpu" else "(in the memory of a GPU)")

    def children(self):
        if self.to_string() in (INVALID, "undefined tensor"):
            return
        body = target(self.value["body_"])
        yield "shape", body["shape"]
        yield "dtype", dtype_of(body["dtype"])[0]
        yield "device", device_of(target(body["storage"]))
        node = target(body["node"])
        step = Step(node) if node is not None else None
        yield "requires_grad", step is not None and step.requires_grad
        if step is not None:
            yield "name", step.name
            yield "grad", step.grad
            yield "step", str(step)


class ShapePrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return guarded(lambda: shape_text(shape_of(self.value)))


class NodePrinter:
    def __init__(self, value):
        self.node = Object(int(value.address), value.type)

    def to_string(self):
        return guarded(lambda: str(Step(self.node)))

    def children(self):
        if self.to_string() == INVALID:
            return
        step = Step(self.node)
        yield "requires_grad", step.requires_grad
        yield "grad", step.grad
        for i, each in enumerate(step.inputs):
            yield "input %d" % i, guarded(lambda: str(Step(each)) if each is not None else "constant")


class TapePrinter:
    def __init__(self, value):
        steps = value["steps_"]["_M_impl"]
        self.begin, self.size = steps["_M_start"], int(steps["_M_finish"] - steps["_M_start"])

    def to_string(self):
        return "tape of %d steps" % self.size

    def children(self):
        """v1 = MatMul(x, W) [4, 2] (train.cpp:14), with the names that Tape::names() gives."""
        names, steps, leaves = {}, 0, 0
        for i in range(min(self.size, 1000)):
            node = target(self.begin[i])  # gdb itself shows what goes wrong here
            step = Step(node)
            for each in step.inputs:
                if each is not None and each.address not in names:
                    leaf = Step(each)
                    leaves += not leaf.name
                    names[each.address] = leaf.name or "x%d" % leaves
            steps += not step.name
            names[node.address] = step.name or "v%d" % steps
            inputs = ", ".join(names[each.address] if each is not None else "const" for each in step.inputs)
            yield "[%d]" % i, "%s = %s(%s) %s (%s)" % (names[node.address], step.operation, inputs,
                                                       shape_text(step.shape), step.where)


class RefPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        def text():
            node = target(self.value)
            return "null" if node is None else str(Step(node))

        return guarded(text)


printers = gdb.printing.RegexpCollectionPrettyPrinter("gradus")
printers.add_printer("Tensor", "^gradus::Tensor$", TensorPrinter)
printers.add_printer("Shape", "^gradus::Shape$", ShapePrinter)
printers.add_printer("Node", "^gradus::Node$", NodePrinter)
printers.add_printer("Tape", "^gradus::Tape$", TapePrinter)
printers.add_printer("Ref", "^gradus::Ref<gradus::Node>$", RefPrinter)
gdb.printing.register_pretty_printer(None, printers, replace=True)
