# SPDX-License-Identifier: AGPL-3.0-only
"""Where a model comes from: a file, pretrained weights at hand, or nothing but its plan; never a download."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultralytics.nn.modules.head import RTDETRDecoder
from ultralytics.nn.tasks import DetectionModel, torch_safe_load, yaml_model_load
from ultralytics.utils import SETTINGS

from icr.checkpoints import SUFFIX
from icr.errors import InputError
from icr.ultralytics import architectures
from icr.ultralytics.training import HEADS

_PLANS = {".yaml", ".yml"}
_HEADS = (*HEADS, RTDETRDecoder)


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        model: for Ultralytics' `model` setting: a `.pt` or `.yaml` file, or the name of an architecture of ours.
        plan: what to build: a `.yaml` file, the plan that came with the weights, or the name of an architecture.
        weights: the loaded model whose weights are taken over; None starts from scratch.
        said: a sentence for the person who trains.
    """

    model: str
    plan: str | dict[str, Any]
    weights: DetectionModel | None
    said: str


def start(model: str, pretrained: Any = True, trust: bool = False) -> Start:
    """Find what `--model` names.

    Args:
        model: a detector's name (`yolo11n`), a `.yaml` plan, or a `.pt` or `.safetensors` file to fine-tune.
        pretrained: Ultralytics' setting: False starts from scratch, a file gives the weights.
        trust: see `checkpoint_of`.

    Raises:
        InputError: there is no such model, it is for another task, or its file needs foreign code.
    """
    path = Path(model)
    named = str(pretrained) if isinstance(pretrained, (str, Path)) else None
    architecture = architectures.of(model)
    if architecture is not None:
        return _of_architecture(architecture, path, pretrained)
    plan: str | None = None
    given: Path | None = path
    if path.suffix == ".pt" and not path.is_file():
        given = _at_hand(path.stem) if path.parent == Path() else None
        if given is None:
            raise InputError(
                f"--model {model}: there is no such file, nor in {SETTINGS['weights_dir']}, and nothing is downloaded; "
                f"--model {path.stem} would start from scratch"
            )
    elif path.suffix != ".pt":
        plan = _plan(path)
        given = None if path.suffix in _PLANS else _at_hand(path.name)
    source = Path(named) if named else (given if pretrained else None)
    if source:
        weights = read(source, trust)
        build = plan if named and plan else weights.yaml
        return Start(str(source.resolve()), build, weights, f"starting from the weights of {source}")
    if plan is None:
        raise InputError(
            f"--model {model} with pretrained=False leaves nothing to start from; name a plan (.yaml) instead"
        )
    places = f"no {path.name}.pt in this folder or in {SETTINGS['weights_dir']}"
    why = "as its plan says" if path.suffix in _PLANS else places if pretrained else "pretrained=False"
    return Start(plan, plan, None, f"starting from scratch ({why})")


def _of_architecture(architecture: architectures.Architecture, path: Path, pretrained: Any) -> Start:
    """An architecture of ours, by name or by a file of its weights; its plan is its name."""
    name = architecture.name
    if isinstance(pretrained, (str, Path)):
        source: Path | None = Path(pretrained)
    else:
        source = (path if path.suffix == SUFFIX else _at_hand(name, SUFFIX)) if pretrained else None
    if source is not None:
        return Start(name, name, read(source), f"starting from the weights of {source}")
    places = f"no {name}{SUFFIX} in this folder or in {SETTINGS['weights_dir']}" if pretrained else "pretrained=False"
    return Start(name, name, None, f"starting from scratch ({places})")


def _plan(path: Path) -> str:
    """The plan of a model; Ultralytics knows its own by name, with the size in it."""
    plan = str(path) if path.suffix in _PLANS else f"{path.name}.yaml"
    try:
        last = yaml_model_load(plan)["head"][-1][2]
    except (FileNotFoundError, OSError):
        raise InputError(f"--model {path}: Ultralytics knows no such model, and there is no such file") from None
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{plan} is no model plan of Ultralytics: {type(error).__name__} {error}") from None
    if last not in {head.__name__ for head in _HEADS}:
        raise InputError(f"{plan} ends in {last}; icr trains plain box detectors, which end in Detect or RTDETRDecoder")
    return plan


def head_of(model: str, trust: bool = False) -> str:
    """The name of the class that the model ends in that ``--model`` names.

    Raises:
        InputError: as in `start`.

    Example:
        >>> head_of("yolo11n"), head_of("rtdetr-l")
        ('Detect', 'RTDETRDecoder')
    """
    path = Path(model)
    if path.suffix == ".pt":
        given = path if path.is_file() or path.parent != Path() else _at_hand(path.stem)
        return type(read(given or path, trust).model[-1]).__name__
    return str(yaml_model_load(_plan(path))["head"][-1][2])


def _at_hand(stem: str, suffix: str = ".pt") -> Path | None:
    for folder in (Path(), Path(SETTINGS["weights_dir"])):
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    return None


def read(file: Path, trust: bool = False) -> DetectionModel:
    """Read a detector's weights without running anything that the file holds.

    Args:
        file: a checkpoint of Ultralytics (`.pt`), or `.safetensors` of an architecture of ours.
        trust: see `checkpoint_of`.

    Returns:
        The model in float32 on the CPU; `args` are the settings that it was trained with.

    Raises:
        InputError: no such file, no checkpoint, foreign code in it, or a model for another task.
    """
    if file.suffix == SUFFIX:
        stored: DetectionModel = architectures.read(file)
        return stored
    checkpoint = checkpoint_of(file, trust)
    model: Any = checkpoint.get("ema") or checkpoint.get("model")
    if not isinstance(model, DetectionModel) or type(model.model[-1]) not in _HEADS:
        head = type(model.model[-1]).__name__ if hasattr(model, "model") else type(model).__name__
        raise InputError(
            f"{file} holds a model that ends in {head}; expected a plain box detector, which ends in Detect or "
            "RTDETRDecoder"
        )
    model.args = dict(checkpoint.get("train_args") or {})
    return model.float()


def checkpoint_of(file: Path, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint with Ultralytics' restricted loader.

    Args:
        trust: unpickle a file that the restricted loader refuses; that may run any code the file holds.

    Raises:
        InputError: as in `read`.
    """
    if not file.is_file():
        raise InputError(f"{file}: there is no such file")
    if file.stat().st_size == 0:
        raise InputError(f"{file} is empty; expected a checkpoint of Ultralytics")
    try:
        checkpoint, _ = torch_safe_load(str(file), safe_only=not trust)
    except Exception as error:  # a damaged pickle makes the reader fail in any way there is
        why = _why(error.__cause__ or error)
        if trust:
            raise InputError(f"{file} cannot be read, not even with --trust: {why}") from None
        raise InputError(
            f"{file} is no checkpoint that Ultralytics' restricted loader accepts: {why}; if you trust where it comes "
            "from, --trust runs it"
        ) from None
    if not isinstance(checkpoint, dict):
        raise InputError(f"{file} holds a {type(checkpoint).__name__}, not a checkpoint of Ultralytics")
    return checkpoint


def _why(cause: BaseException) -> str:
    """What is wrong with a file, in a few words: PyTorch goes on to advise loading it without restriction."""
    text = " ".join(str(cause).split())
    foreign = re.search(r"GLOBAL (\S+)", text)
    if foreign:
        return f"it asks for {foreign[1]}, foreign code that icr does not run"
    inner = re.search(r"WeightsUnpickler error: (.+?)(?= Check the documentation| Please|$)", text)
    told = inner[1] if inner else text.partition(". ")[0].rstrip(".")
    return f"it is damaged or of another kind ({type(cause).__name__}: {told})"
