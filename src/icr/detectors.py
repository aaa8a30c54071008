"""The registry of detectors: which engine trains a model of that name, under which licence."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from icr.checkpoints import read_header
from icr.errors import InputError, nearest
from icr.predictions import Predictor
from icr.runs import RECORD, weights_of


@dataclass(frozen=True)
class Detector:
    """A detector that can be trained here.

    Attributes:
        name: what ``--model`` takes.
        engine: the package under `icr` that trains it.
        licence: of the engine's code.
        paper: the row of the paper's Table 2 that it stands for, if any.
        base: the IoU-family loss of its own, which ICR multiplies unless another is asked for.
    """

    name: str
    engine: str
    licence: str
    paper: str | None = None
    base: str = "ciou"


_FAMILIES = {
    "yolov8": "nsmlx",
    "yolov9": "tsmce",
    "yolov10": "nsmblx",
    "yolo11": "nsmlx",
    "yolo12": "nsmlx",
    "yolo26": "nsmlx",
}
_PAPER_ROWS = {"yolo11n": "YOLOv11-T", "yolo12n": "YOLOv12-T"}

DETECTORS = {
    f"{family}{size}": Detector(f"{family}{size}", "ultralytics", "AGPL-3.0", _PAPER_ROWS.get(f"{family}{size}"))
    for family, sizes in _FAMILIES.items()
    for size in sizes
}
DETECTORS |= {
    name: Detector(name, "transformers", "Apache-2.0", row, "giou")
    for name, row in (
        ("rtdetrv2-r18", "RT-DETRv2 R18"),
        ("rtdetrv2-r34", "RT-DETRv2 R34"),
        ("rtdetrv2-r50", None),
        ("rtdetr-r18", None),
        ("rtdetr-r34", None),
        ("rtdetr-r50", None),
        ("dfine-n", None),
        ("dfine-s", None),
    )
}
DETECTORS |= {
    name: Detector(name, "ultralytics", "AGPL-3.0", row)
    for name, row in (
        ("yolov9-t", "YOLOv9-T"),
        ("yolov9-s", "YOLOv9-S"),
        ("yolov9-m", "YOLOv9-M"),
        ("yolov9", "YOLOv9"),
        ("yolov9-c", None),
    )
}
DETECTORS |= {
    name: Detector(name, "ultralytics", "AGPL-3.0", row, base)
    for name, row, base in (
        ("uav-detr-r18", "UAV-DETR R18", "inner-siou"),
        ("uav-detr-r50", "UAV-DETR R50", "inner-siou"),
        ("rtdetr-l", None, "giou"),
        ("rtdetr-resnet50", None, "giou"),
    )
}

_WEIGHTS = (".pt", ".safetensors", ".onnx")


def find(model: str) -> Detector:
    """Find the detector that ``--model`` names: a registered name, or a file that an engine reads.

    Args:
        model: `yolo11n`, `yolo11n.pt`, `folder/best.pt`, `folder/best.safetensors`, `my-net.yaml`.

    Raises:
        InputError: no detector has that name and no such file exists, or it is a model for another task.

    Example:
        >>> find("yolo12n").paper
        'YOLOv12-T'
    """
    path = Path(model)
    name = path.name.removesuffix(path.suffix) if path.suffix in {".pt", ".yaml", ".yml"} else path.name
    if re.fullmatch(r"(yolo|rtdetr).*-(seg|pose|obb|cls|semseg)", name):
        task = name.rpartition("-")[2]
        plain = name.removesuffix(f"-{task}")
        raise InputError(f"--model {model}: a -{task} model is not a plain box detector; use one, such as {plain}")
    if path.suffix in {".pt", ".yaml", ".yml"} and path.is_file():
        return Detector(model, "ultralytics", "AGPL-3.0")
    if path.suffix == ".safetensors":
        stored = read_header(path)
        known = DETECTORS.get(stored.model, Detector(stored.model, stored.engine, "unknown"))
        return replace(known, name=model, paper=None)
    if name in DETECTORS:
        return DETECTORS[name]
    if path.suffix in {".pt", ".yaml", ".yml"}:
        raise InputError(f"--model {model}: there is no such file; name an existing one, or a detector such as yolo11n")
    if path.suffix == ".onnx":
        raise InputError(f"--model {model}: an exported file cannot be trained; name the weights that it was made from")
    if (path / RECORD).is_file():
        raise InputError(f"--model {model}: a run; name its weights: {weights_of(path) or 'it left none'}")
    if (path / "config.json").is_file():
        raise InputError(
            f"--model {model}: a folder does not say which detector it holds; name that one, such as rtdetrv2-r18, "
            f"with --set pretrained={model}"
        )
    raise InputError(
        f"--model {model}: no detector has that name{nearest(name, DETECTORS)}; icr models lists all {len(DETECTORS)}"
    )


def engine(name: str) -> ModuleType:
    """Import an engine.

    Each offers `train(settings)`, `check_overrides_of(model, overrides, trust, device)`, `continues_exactly(run)`,
    `load(weights, device)` and `probe_step(...)`.

    Raises:
        InputError: the framework behind it is not installed.
    """
    if find_spec(name) is None:
        raise InputError(
            f"the engine {name!r} is not installed; install it with: pip install 'icr-loss[cli,{name}]'"
            + (" (Ultralytics is AGPL-3.0)" if name == "ultralytics" else "")
        )
    return importlib.import_module(f"icr.{name}.engine")


def own_base(detector: Detector, trust: bool = False) -> str:
    """The base loss of a detector itself; of a file of Ultralytics, that of the head that its model ends in.

    Args:
        trust: as in `load`.

    Raises:
        InputError: the file cannot be used, or its engine is not installed.

    Example:
        >>> own_base(find("uav-detr-r18"))
        'inner-siou'
    """
    if Path(detector.name).suffix in {".pt", ".yaml", ".yml"} and detector.name not in DETECTORS:
        base: str = engine(detector.engine).own_base(detector.name, trust)
        return base
    return detector.base


def first_device() -> str:
    """The first GPU if there is one, else the processor, as ``--device`` writes it."""
    import torch

    return "0" if torch.cuda.is_available() else "cpu"


def check_device(device: str) -> str:
    """Return the device if it is there.

    Args:
        device: `cpu`, the index of a GPU, or several with commas.

    Raises:
        InputError: it is written in another way, or this machine lacks it.

    Example:
        >>> check_device("cpu")
        'cpu'
    """
    if device == "cpu":
        return device
    if not re.fullmatch(r"\d+(,\d+)*", device):
        raise InputError(f"--device {device}: expected cpu, a GPU's index such as 0, or several such as 0,1")
    import torch

    there = torch.cuda.device_count()
    if any(int(index) >= there for index in device.split(",")):
        gpus = f"{there} GPU{'s' * (there != 1)}, numbered from 0" if there else "no GPU that PyTorch can use"
        raise InputError(f"--device {device}: this machine has {gpus}; name one that is there, or cpu")
    return device


def check_one_device(device: str) -> str:
    """Return the device if it is one and there.

    Raises:
        InputError: as in `check_device`, or several are named.
    """
    if "," in device:
        raise InputError(f"--device {device}: only a training takes several; name one, such as {device.split(',')[0]}")
    return check_device(device)


def load(weights: Path, device: str = "cpu", trust: bool = False) -> Predictor:
    """Load trained weights for prediction, whatever engine made them.

    Args:
        weights: `.safetensors` of ours, an Ultralytics checkpoint (`.pt`), an exported `.onnx`, or a folder that
            Transformers saved.
        device: `cpu`, or the index of a GPU.
        trust: let a `.pt` be unpickled that the restricted loader refuses; it may run any code.

    Raises:
        InputError: no such device, no such file, or not weights that an engine here can load.
    """
    check_weights(weights)
    check_one_device(device)
    if weights.suffix == ".onnx":
        onnx = importlib.import_module("icr.predicting.onnx")
        exported: Predictor = onnx.load(weights, device)
        return exported
    name = engine_of(weights)
    predictor: Predictor = engine(name).load(
        weights, device, **({"trust": True} if trust and name == "ultralytics" else {})
    )
    return predictor


def engine_of(weights: Path) -> str:
    """The engine that made a weights file: by its kind, or as its header says.

    Raises:
        InputError: a `.safetensors` file that does not say.

    Example:
        >>> engine_of(Path("runs/plates/weights/best.pt"))
        'ultralytics'
    """
    if weights.suffix == ".pt":
        return "ultralytics"
    return "transformers" if weights.is_dir() else read_header(weights).engine


def check_weights(weights: Path) -> None:
    """Refuse, before any work, a path that holds no weights that an engine here can load.

    Raises:
        InputError: no such file, or not of a known kind.
    """
    if (weights / "config.json").is_file():
        return
    if not weights.is_file():
        what = "a folder" if weights.is_dir() else "not there"
        raise InputError(f"{weights} is {what}; name a weights file, such as runs/NAME/weights/best.pt")
    if weights.suffix not in _WEIGHTS:
        raise InputError(
            f"{weights}: cannot load weights of kind {weights.suffix!r}; expected {', '.join(_WEIGHTS)} from icr train "
            "or icr export"
        )
