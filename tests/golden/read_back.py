#!/usr/bin/env python3
"""usage: read_back.py GRADUS_TESTS
Lets the test executable load the models in tests/golden/models, which PyTorch saved, and save them again; reads what it
wrote and checks that names, dtypes, shapes and values are the same."""

import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path


def read_safetensors(path):
    data = path.read_bytes()
    values = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:values])
    header.pop("__metadata__", None)
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        header[name] = tensor["dtype"], tensor["shape"], data[values + begin : values + end]
    return header


if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
    sys.exit(__doc__)
different = compared = 0
with tempfile.TemporaryDirectory() as folder:
    command = [sys.argv[1], "--test-case=golden: models *"]
    subprocess.run(command, env={**os.environ, "GRADUS_MODELS": folder}, check=True)
    for path in sorted((Path(__file__).parent / "models").iterdir()):
        saved, written = read_safetensors(path), read_safetensors(Path(folder) / path.name)
        for name in sorted(saved.keys() | written.keys()):
            compared += 1
            if saved.get(name) != written.get(name):
                different += 1
                print(f"{path.name}: {name} is not what PyTorch saved")
print(f"{compared} tensors compared, {different} differ")
sys.exit(different > 0 or compared == 0)
