"""Parameters and GFLOPs of every detector for two classes: builds each, measures, and writes `src/icr/models.json`.

    python benchmarks/models.py                 # all whose engine is installed
    python benchmarks/models.py yolov9-t dfine-n

Parameters are of the whole network as it is trained (YOLOv9's auxiliary branch included), and fused: batch norms folded
into the convolutions, branches of RepConv merged; Transformers has no such form. GFLOPs are of the inference of one
picture of 640 px, fused where that exists: twice the multiply-adds of convolutions and matrix products, as PyTorch's
counter sees them.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("YOLO_OFFLINE", "1")

import torch
from torch.utils.flop_counter import FlopCounterMode

from icr.detectors import DETECTORS
from icr.models import FILE

SIZE = 640
CLASSES = ["child", "parent"]


def build(name: str) -> torch.nn.Module:
    """A detector with new weights."""
    if DETECTORS[name].engine == "transformers":
        from icr.transformers.models import build as made
    else:
        from icr.ultralytics.building import build as made
    network: torch.nn.Module = made(name, CLASSES if DETECTORS[name].engine == "transformers" else len(CLASSES))
    return network.eval()


def parameters(network: torch.nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def measure(name: str) -> dict[str, Any]:
    """Counts of one detector."""
    network = build(name)
    counted: dict[str, Any] = {"parameters": parameters(network), "parameters_fused": None}
    fuse = getattr(network, "fuse", None)
    if fuse is not None:
        network = fuse(verbose=False)
        counted["parameters_fused"] = parameters(network)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, SIZE, SIZE))
    return {**counted, "gflops": round(counter.get_total_flops() / 1e9, 1)}


def main() -> None:
    """Measure those that are asked for and keep the figures of the others."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="detectors; all if none is named")
    asked = parser.parse_args().names or list(DETECTORS)
    known: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    for name in asked:
        if find_spec(DETECTORS[name].engine) is None:
            print(f"{name}: {DETECTORS[name].engine} is not installed; its figures stay")
            continue
        known[name] = measure(name)
        print(name, known[name], flush=True)
    lines = [f"  {json.dumps(name)}: {json.dumps(known[name])}" for name in DETECTORS if name in known]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
