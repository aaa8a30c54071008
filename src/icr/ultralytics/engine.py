# SPDX-License-Identifier: AGPL-3.0-only
"""The engine behind `icr train`, `icr eval`, `icr predict` and `icr doctor` for Ultralytics' detectors."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Read by Ultralytics when it is imported: no usage statistics, no update check, no font, no weights from the network,
# and no package installed behind the user's back.
os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER
from ultralytics.utils.torch_utils import strip_optimizer

from icr import resumption, runs
from icr.checkpoints import read_header
from icr.errors import InputError
from icr.ultralytics import architectures, state
from icr.ultralytics.kinds import kind_of
from icr.ultralytics.overrides import check_overrides, of_ultralytics
from icr.ultralytics.prediction import UltralyticsPredictor, load
from icr.ultralytics.probe import probe_step
from icr.ultralytics.quiet import without_downloads, without_glyph_warnings
from icr.ultralytics.training import DetectionTrainer, trainer
from icr.ultralytics.weights import checkpoint_of, start

if TYPE_CHECKING:
    from icr.training_settings import TrainSettings

__all__ = ["UltralyticsPredictor", "continues_exactly", "load", "probe_step", "train"]


def train(settings: TrainSettings) -> None:
    """Train a detector; `results.csv` and `weights/` are left in the run folder, and nothing anywhere else.

    Raises:
        InputError: the model or an override cannot be used, or the training data holds no pair.
    """
    check_overrides_of(settings.model, settings.overrides, settings.trust, settings.device)
    kind = kind_of(settings.model, settings.trust)
    architecture = architectures.of(settings.model)
    last = settings.out / "weights" / "last.pt"
    kept = settings.out / "weights" / state.NAME
    if settings.resume and architecture is not None and _over(settings, kept):
        return
    if settings.resume and architecture is not None and kept.is_file():
        asked: dict[str, Any] = {**_arguments(settings, kind), "model": architecture.name, "resume": str(kept)}
        begin = None
    elif settings.resume and last.is_file() and not _only_begun(checkpoint := checkpoint_of(last), kept):
        if _finish(settings, checkpoint, kept):
            return
        asked = {"model": str(last), "resume": str(last), "save_dir": str(settings.out.resolve())}
        begin = None
    else:
        if settings.resume:
            LOGGER.info(f"icr: {settings.out} had not come to the end of an epoch; starting from the beginning")
        begin = start(settings.model, settings.overrides.get("pretrained", True), settings.trust)
        LOGGER.info(f"icr: {settings.model}: {begin.said}")
        asked = {**_arguments(settings, kind), "model": begin.model}
    with without_downloads(), without_glyph_warnings():
        run = _class(settings, kind)(overrides={**asked, "data": str(settings.data_yaml.resolve())})
        if begin is not None and begin.weights is not None:
            run.model = run.get_model(cfg=begin.plan, weights=begin.weights)
        run.train()
    shutil.rmtree(_cache(settings), ignore_errors=True)


def _class(settings: TrainSettings, kind: type[DetectionTrainer]) -> type[DetectionTrainer]:
    return trainer(
        base=settings.base,
        form=settings.form,
        relations=settings.relations,
        enabled=settings.icr,
        label_cache=_cache(settings),
        enlarge_tiny=settings.overrides.get("enlarge_tiny"),
        of=kind.settled(settings.overrides, settings.box_gain),
        factors=settings.factors,
        pseudo_parent=settings.pseudo_parent,
    )


def check_overrides_of(model: str, overrides: dict[str, Any], trust: bool = False, device: str | None = None) -> None:
    """Refuse settings that a detector cannot be trained with, before anything is trained.

    Args:
        device: what it is to be trained on, where that is known already.

    Raises:
        InputError: one line that names the key, and the nearest one; or the model cannot be used.
    """
    kind = kind_of(model, trust)
    check_overrides(overrides, kind.keys)
    kind.settled(overrides)
    if device == "cpu" and str(overrides.get("amp")).lower() == "bf16":
        raise InputError("--set amp=bf16: Ultralytics computes in bfloat16 on a GPU alone; leave it out with cpu")
    if device and "," in device and find_spec("cloudpickle") is None:
        raise InputError(f"--device {device}: training on several GPUs needs cloudpickle; pip install cloudpickle")


def own_base(model: str, trust: bool = False) -> str:
    """The base loss that a detector is trained with by itself.

    Raises:
        InputError: there is no such model, or its file cannot be used.
    """
    return str(kind_of(model, trust).icr.base)


def _cache(settings: TrainSettings) -> Path:
    """Where the label cache stands while a run lasts, so that nothing is written beside the user's labels."""
    return settings.out.resolve() / "cache"


def _arguments(settings: TrainSettings, kind: type[DetectionTrainer]) -> dict[str, Any]:
    out = settings.out.resolve()
    overrides = of_ultralytics(settings.overrides, kind.keys)
    if settings.box_gain != 1:
        # Detectors with queries do not look at it; they have `giou_gain`.
        overrides["box"] = settings.box_gain * float(overrides.get("box", DEFAULT_CFG_DICT["box"]))
    return {
        "deterministic": True,
        **kind.arguments(settings.batch),
        **overrides,
        "pretrained": bool(settings.overrides.get("pretrained", True)),
        "imgsz": settings.imgsz,
        "epochs": settings.epochs,
        "batch": settings.batch,
        "device": settings.device,
        "seed": settings.seed,
        "workers": settings.workers,
        "project": str(out.parent),
        "name": out.name,
        "exist_ok": True,
    }


def _over(settings: TrainSettings, kept: Path) -> bool:
    """Tell whether an architecture of ours had come to its last epoch; its state goes, if it was killed before that."""
    last = runs.weights_of(settings.out, "last")
    if kept.is_file():
        found = state.read(kept)
        over = found["over"] or found["epoch"] >= settings.epochs - 1
    else:
        # The state goes last; weights without one are those of an ended run, or the first of a run killed right then.
        over = last is not None and (settings.epochs == 1 or read_header(last).settings.get("epoch") != 1)
    if over:
        kept.unlink(missing_ok=True)
        LOGGER.info(f"icr: {settings.out} had already been trained to its last epoch")
    return over


def _only_begun(checkpoint: dict[str, Any], kept: Path) -> bool:
    """Tell whether a run was killed in its first epoch's last moment: its state is missing, and nothing is lost."""
    return checkpoint.get("epoch") == 0 and not kept.is_file()


def continues_exactly(run: Path) -> bool:
    """Whether a killed run would go on as if it had not been killed; one that was over already would.

    Args:
        run: its folder, which is only looked at.
    """
    kept, last = run / "weights" / state.NAME, run / "weights" / "last.pt"
    try:
        if kept.is_file():
            return not state.read(kept)["inexact"] and resumption.is_exact(run)
        return last.is_file() and checkpoint_of(last).get("epoch") == -1 and resumption.is_exact(run)
    except InputError:
        return False


def _finish(settings: TrainSettings, checkpoint: dict[str, Any], kept: Path) -> bool:
    """Tell whether the run had already come to its last epoch; if it was killed while tidying up, tidy up."""
    epoch = checkpoint.get("epoch", -1)
    stopped = kept.is_file() and state.read(kept)["over"]
    if 0 <= epoch < settings.epochs - 1 and not stopped:
        return False
    for name in ("last.pt", "best.pt"):
        file = settings.out / "weights" / name
        if file.is_file() and checkpoint_of(file).get("optimizer") is not None:
            strip_optimizer(file)
    kept.unlink(missing_ok=True)
    LOGGER.info(f"icr: {settings.out} had already been trained to its last epoch")
    return True
