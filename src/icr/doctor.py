"""What is installed, what it runs on, and proof that the loss acts in a training step."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr import runs

if TYPE_CHECKING:
    from icr.data.dataset import Dataset
    from icr.relations import Relation

_HINTS = {
    "torchvision": "torch and torchvision do not match; let one command install both: pip install -U torch torchvision",
    "cv2": "OpenCV lacks system libraries; on Debian or Ubuntu: apt-get install -y libgl1 libglib2.0-0 libxcb1 libsm6",
}


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor saw.

    Attributes:
        versions: of Python and the packages that matter.
        hardware: processor, cores, GPUs.
        faults: one line each: what does not work, and what to do.
        step: the training step with ICR and without (`icr.probing.Probe`), None where none could be taken.
        step_on: the data that the step was taken on.
    """

    versions: dict[str, str]
    hardware: dict[str, Any]
    faults: list[str]
    step: dict[str, Any] | None
    step_on: str

    @property
    def acts(self) -> bool:
        """Whether the loss changed the step: pairs were there, and loss and gradient differ."""
        return bool(self.step and self.step["pairs"] and self.step["gradient_changed"] > 0)

    def as_json(self) -> dict[str, Any]:
        """Everything, in plain values."""
        return {**asdict(self), "acts": self.acts}


def examine(
    data: Path | None,
    relation: Sequence[str] = (),
    *,
    model: str = "yolo11n",
    base: str | None = None,
    weight: float | None = None,
    form: str = "product",
    imgsz: int = 320,
    batch: int = 4,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Diagnosis:
    """Look at the environment and take a training step on `data`, or on generated scenes where none is given.

    Args:
        data: a data set, or a run folder, whose data, relations and weights are then used.
        relation: as on the command line.
        say: called with what a person should know meanwhile.

    Raises:
        InputError: the data, the relation, the model or a setting cannot be used, or the data holds no pair.
    """
    from icr.detectors import check_one_device, engine, find, own_base
    from icr.training_settings import check_settings

    check_one_device(device)
    check_settings(base=base, form=form, weight=weight, imgsz=imgsz, batch=batch)
    faults = [fault for module in _HINTS if (fault := _fault(module))]
    seen: dict[str, Any] = {"versions": runs.surroundings()["versions"], "hardware": runs.hardware(), "faults": faults}
    with tempfile.TemporaryDirectory() as scratch:
        if data is not None and (data / runs.RECORD).is_file():
            model, data, relation = _of_run(data, model, relation)
        detector = find(model)
        if find_spec(detector.engine) is None:
            faults.append(
                f"{detector.engine} is not installed, so no step was taken: "
                f"pip install 'icr-loss[cli,{detector.engine}]'"
            )
            return Diagnosis(**seen, step=None, step_on="")
        if faults:
            return Diagnosis(**seen, step=None, step_on="")
        source = data or _generate(Path(scratch) / "scenes")
        data_yaml, relations = _prepare(source, relation, weight, Path(scratch) / "run", say)
        say("taking one training step with ICR and one without")
        probe = engine(detector.engine).probe_step(
            data_yaml,
            relations,
            model=model,
            base=base or own_base(detector),
            form=form,
            imgsz=imgsz,
            batch=batch,
            device=device,
        )
    return Diagnosis(**seen, step=asdict(probe), step_on=str(data or "generated scenes"))


def _fault(module: str) -> str | None:
    if find_spec(module) is None:
        return None
    try:
        importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        return f"{module} does not load ({' '.join(str(error).split())}): {_HINTS[module]}"
    return None


def _of_run(run: Path, model: str, relation: Sequence[str]) -> tuple[str, Path, Sequence[str]]:
    """The weights, data and relations of a run."""
    record = runs.read_record(run)
    return str(runs.weights_of(run) or model), Path(record["data"]), relation or _written(record["relations"])


def _written(relations: Sequence[dict[str, Any]]) -> list[str]:
    """The relations of a record, as they are written on the command line."""
    parents = [[r["parent"]] if isinstance(r["parent"], str | int) else r["parent"] for r in relations]
    return [f"{r['child']}:{','.join(map(str, each))}" for r, each in zip(relations, parents, strict=True)]


def _generate(folder: Path) -> Path:
    from icr.data.synth import generate

    generate(folder, counts={"train": 8, "val": 2}, close=True, workers=1)
    return folder


def _prepare(
    source: Path, relation: Sequence[str], weight: float | None, out: Path, say: Callable[[str], None]
) -> tuple[Path, tuple[Relation, ...]]:
    from dataclasses import replace

    from icr.data.choosing import choose
    from icr.data.convert import prepare_yolo
    from icr.data.formats import read

    dataset: Dataset = read(source)
    chosen = choose(relation, dataset)
    if chosen.said:
        say(chosen.said)
    relations = tuple(r if weight is None else replace(r, weight=weight) for r in chosen.relations)
    return prepare_yolo(dataset, out, relations=relations, say=say), relations
