"""Where things are, and the reference networks of tests/peers on the import path."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "build" / "peers"  # exported ONNX files

sys.path.insert(0, str(ROOT / "tests" / "peers"))


def onnx_file(network, height, width, classes):
    """The exported network's file; `classes` for the one that ends in argmax."""
    tail = "_classes" if classes else ""
    return MODELS / f"{network}_{height}x{width}{tail}.onnx"
