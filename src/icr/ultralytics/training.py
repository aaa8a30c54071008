# SPDX-License-Identifier: AGPL-3.0-only
"""The trainer: Ultralytics' own, with paired data, the ICR loss, and checkpoints that load without this package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from ultralytics.data.utils import get_split_fraction
from ultralytics.models.yolo.detect import DetectionTrainer as StockTrainer
from ultralytics.nn.modules.head import Detect, v10Detect
from ultralytics.utils import DEFAULT_CFG, LOGGER, RANK, colorstr
from ultralytics.utils.torch_utils import init_seeds, unwrap_model

from icr.errors import InputError
from icr.relations import Declared
from icr.ultralytics import curve, state
from icr.ultralytics.continuation import Continued
from icr.ultralytics.dataset import PairedDataset
from icr.ultralytics.loss import related, stock_form
from icr.ultralytics.processes import SeveralProcesses
from icr.ultralytics.quiet import downloads_as_told, leave_out_idle_tune
from icr.ultralytics.settings import BoxLoss, LossSettings, settle

HEADS = (Detect, v10Detect)
"""The heads whose box loss is altered here; other tasks have heads of their own."""

_COLUMN = 11


class DetectionTrainer(SeveralProcesses, Continued, StockTrainer):
    """Ultralytics' trainer with the ICR loss: base `ciou`, form `product`, relations and λ of `data.yaml`.

    `trainer` makes one with other settings. They stand on the class, so that they reach the processes of a multi-GPU
    training together with it.

    Example:
        >>> from ultralytics import YOLO
        >>> YOLO("yolo11n.yaml").train(data="data.yaml", trainer=DetectionTrainer)  # doctest: +SKIP
    """

    icr: ClassVar[LossSettings] = LossSettings()
    heads: ClassVar[tuple[type, ...]] = HEADS
    dataset_class: ClassVar[type[PairedDataset]] = PairedDataset
    keys: ClassVar[tuple[str, ...]] = ("enlarge_tiny",)
    enlarge_tiny: ClassVar[bool | None] = None
    last: Path
    best: Path
    resume: bool

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        task = (overrides or {}).get("task") or "detect"
        if task != "detect":
            raise InputError(f"the task is {task!r}; the ICR loss trains plain box detectors (detect) only")
        self._box: BoxLoss | None = None
        self._validated = -1
        super().__init__(cfg, overrides, _callbacks)
        leave_out_idle_tune(self.callbacks)

    def _setup_train(self) -> None:
        try:
            with downloads_as_told():
                super()._setup_train()
        except RuntimeError as error:
            if "froze the entire model" not in str(error):
                raise
            raise InputError(f"freeze={self.args.freeze} leaves no layer to train; name fewer") from None

    def get_dataset(self) -> dict[str, Any]:
        """Read `data.yaml`, and settle the relations before anything is built."""
        try:
            data: dict[str, Any] = super().get_dataset()
        except RuntimeError:
            if self.args.split == "val":
                raise
            raise InputError(
                f"split={self.args.split}: the data has none of that name to validate on; leave it out"
            ) from None
        if self.icr.enabled and self.args.single_cls:
            raise InputError(
                "single_cls makes all classes one, so no relation is left; train without it or without ICR"
            )
        if self.icr.enabled and self.args.distill_model is not None:
            raise InputError("distill_model and ICR do not go together yet; train without the one or the other")
        self._box = self.icr.box_loss(data, self.moment)
        return data

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
        """Build Ultralytics' model, and have it make our criterion."""
        model = super().get_model(cfg, weights, verbose)
        head = type(model.model[-1])
        if head not in self.heads:
            expected = self.heads[0].__name__
            raise InputError(f"the model ends in {head.__name__}; this trainer trains models that end in {expected}")
        enlarge = self.enlarge_tiny is not False
        return model if self._box is None and enlarge else related(model, self._box, enlarge)

    def loss_record(self) -> dict[str, Any]:
        """What this training's loss is made of, in plain values: what a resumed one must agree with."""
        box = None if self._box is None else self._box.record()
        return {"box": box, "enlarge_tiny": self.enlarge_tiny is not False}

    def build_dataset(self, img_path: Any, mode: str = "train", batch: int | None = None) -> PairedDataset:
        """Build the data set of a split; training data without a single pair is refused.

        Raises:
            InputError: no child of the relations has a parent.
        """
        dataset = self.dataset_class(
            img_path=img_path,
            imgsz=self.args.imgsz,
            cache=self.args.cache or None,
            augment=mode == "train",
            hyp=self.args,
            prefix=colorstr(f"{mode}: "),
            rect=not self.dataset_class.stretches and (self.args.rect or mode == "val"),
            batch_size=batch,
            stride=max(int(unwrap_model(self.model).stride.max()), 32),
            pad=0.0 if mode == "train" else 0.5,
            single_cls=self.args.single_cls or False,
            classes=self.args.classes,
            fraction=get_split_fraction(self.args.fraction, "train" if mode == "train" else self.args.split),
            data=self.data,
            task=self.args.task,
            relations=() if self._box is None else self._box.relations,
            label_cache=self.icr.label_cache,
        )
        if self._box is not None:
            self._tell(dataset, mode, self._box)
        return dataset

    def _tell(self, dataset: PairedDataset, mode: str, box: BoxLoss) -> None:
        names = self.data["names"]
        asked = " and ".join(f"{names[r.child]}:{','.join(names[p] for p in r.parents)}" for r in box.relations)
        if mode == "train" and dataset.count.pairs == 0:
            seen: dict[str, int] = {}
            for label in dataset.labels:
                for index in label["cls"][:, 0].astype(int):
                    seen[names[index]] = seen.get(names[index], 0) + 1
            held = ", ".join(f"{name} {count}" for name, count in seen.items()) or "no box at all"
            raise InputError(
                f"the training data holds no pair for {asked}, so the ICR loss could not act: boxes seen: {held}; "
                f"{dataset.count}; check the relation, or train without ICR (--no-icr)"
            )
        if RANK in {-1, 0}:
            LOGGER.info(f"{colorstr('icr:')} {mode}, {asked}: {dataset.count}")

    def progress_string(self) -> str:
        """Name the columns of the progress line; a long name takes room from the next, so that none run together."""
        names = ("Epoch", "GPU_mem", *self.loss_names, "Instances", "Size")
        line = ""
        for index, name in enumerate(names):
            line += f" {name}".rjust(_COLUMN * (index + 1) - len(line))
        return f"\n{line}"

    def setup_model(self) -> Any:
        """Load or build the model; a resumed run must go on with the loss that it was started with."""
        checkpoint = super().setup_model()
        if self.resume and checkpoint is not None:
            self.require_same_loss(self.kept_record(checkpoint.get("ema")))
        return checkpoint

    def kept_record(self, kept: Any) -> dict[str, Any]:
        """What `loss_record` was in the training that left this average of its weights."""
        return {"box": getattr(kept, "icr_record", None), "enlarge_tiny": getattr(kept, "enlarge_tiny", True)}

    @classmethod
    def arguments(cls, batch: int) -> dict[str, Any]:
        """Settings of Ultralytics that are other ones for this kind of detector, unless the user says otherwise."""
        return {}

    @classmethod
    def settled(cls, overrides: Mapping[str, Any], box_gain: float = 1.0) -> type[DetectionTrainer]:
        """The trainer with those of the given settings that are named in `keys` and that `trainer` does not take.

        Args:
            box_gain: times the weight of the IoU term, for detectors that have no setting of Ultralytics for it.
        """
        return cls

    def require_same_loss(self, before: dict[str, Any]) -> None:
        """Refuse to go on with a training whose loss was another.

        Raises:
            InputError: says what it was and what it would be.
        """
        now = self.loss_record()
        if before != now:
            raise InputError(
                f"{self.args.model} was trained with {_told(before)} and would go on with {_told(now)}; "
                "resume with the same trainer settings, or start a new run"
            )

    def resume_training(self, ckpt: Any) -> None:
        """Take up a killed run; rows of `results.csv` from after its last checkpoint go, for they come again."""
        super().resume_training(ckpt)
        if ckpt is None or not self.resume:
            return
        file = self.wdir / state.NAME
        kept = state.read(file) if file.is_file() else None
        if kept is not None:
            state.restore(self, kept)
            self.start_epoch = kept["epoch"] + 1
        self.take_up(kept)

    def take_up(self, kept: dict[str, Any] | None) -> None:
        """Go on from `start_epoch`, exactly where that can be, else with batches not drawn yet.

        Args:
            kept: what `keep` left, restored already; None if there is nothing of the kind.
        """
        if kept is None:
            self.note_resumption("its weights had been rounded to half precision", "its batches were drawn anew")
            self._draw_anew()
        elif self.go_on(kept):
            self.note_resumption()
        else:
            self.note_resumption("its batches were drawn anew")
            self._draw_anew()
        if RANK in {-1, 0}:
            for table in (self.csv, self.save_dir / curve.NAME):
                curve.cut(table, self.start_epoch, _replaced)

    def _draw_anew(self) -> None:
        """Seed by the epoch as well, or a resumed run would see the order and the augmentations of its start again."""
        init_seeds(self.args.seed + 1 + RANK + self.start_epoch, deterministic=self.args.deterministic)
        generator = self.train_loader.generator
        generator.manual_seed((generator.initial_seed() + self.start_epoch) % (1 << 64))
        self.train_loader.reset()

    def save_model(self) -> bool:
        """Save as Ultralytics does, as its own class, and so that a kill leaves the old file or the new one."""
        last, best = self.last, self.best
        with stock_form(self.ema.ema), _replaced(last) as self.last, _replaced(best) as self.best:
            try:
                saved = bool(super().save_model())
            finally:
                self.last, self.best = last, best
        # After the weights: what is killed in between does the epoch again, from the state before.
        self.keep()
        return saved

    def final_eval(self) -> None:
        """Validate the best weights; the state of a training that is over goes."""
        super().final_eval()
        if RANK in {-1, 0}:
            (self.wdir / state.NAME).unlink(missing_ok=True)

    def validate(self) -> Any:
        """Validate, and remember that this epoch was."""
        found = super().validate()
        self._validated = self.epoch
        return found

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """Add a row to `results.csv`, and those of the classes to `curve.csv`."""
        super().save_metrics(metrics)
        if self._validated == self.epoch:
            curve.append(self.save_dir / curve.NAME, self.epoch + 1, self.validator.metrics)

    def train(self) -> None:
        """Train; over several GPUs, without the removal of the run folder that comes before Ultralytics starts them."""
        resume = self.resume
        self.resume = resume or self.ddp
        try:
            super().train()
        finally:
            self.resume = resume


def trainer(
    base: str | Callable[..., Any] | None = None,
    weight: float | None = None,
    form: str = "product",
    relations: Declared | None = None,
    enabled: bool = True,
    label_cache: Path | None = None,
    enlarge_tiny: bool | None = None,
    of: type[DetectionTrainer] = DetectionTrainer,
    factors: Sequence[float] = (),
    pseudo_parent: bool = False,
) -> type[DetectionTrainer]:
    """Make a trainer class with these settings, for `YOLO(...).train(trainer=…)`.

    Args:
        base: a registered IoU-family loss (`icr.losses.names()`, with modifiers), or a callable
            `(pred, target) -> loss` on xyxy boxes in pixels of the network's input. None: the detector's own, which is
            `ciou`; for RT-DETR `giou`.
        weight: λ, for all relations; None leaves each relation its own, which is 2.5 unless it says otherwise.
        form: `product`, `sum`, `step`, `power`, or a control.
        relations: such as `["plate:vehicle"]` or `[icr.Relation("plate", ("car", "bus"))]`; None: those of `data.yaml`.
        enabled: False makes a trainer that trains exactly as Ultralytics does.
        label_cache: folder for Ultralytics' label cache; None: beside the labels, where Ultralytics puts it.
        enlarge_tiny: whether the assigner enlarges boxes with a side below 16 px; None: as the detector does.
        of: the trainer to settle; `DETRTrainer` for RT-DETR. The one of other architectures is
            `architecture_trainer.ArchitectureTrainer`.
        factors: for `matched`: the factor of every child with a parent, by epoch; the last one holds for the rest.
        pseudo_parent: hold children to a box of their parent's size at a random place instead of the parent.

    Returns:
        A subclass of that trainer, made by value, so that it can be sent to other processes with its settings.

    Raises:
        InputError: a setting is unknown or out of range.

    Example:
        >>> trainer(base="giou", weight=1.0).icr.base
        'giou'
    """
    settings = settle(
        of.icr.base if base is None else base, weight, form, relations, enabled, label_cache, factors, pseudo_parent
    )
    own = {"icr": settings, "enlarge_tiny": enlarge_tiny, "__module__": __name__}
    return type(f"Configured{of.__name__}", (of,), own)


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Write beside a file and put the result in its place, if there is one and nothing went wrong."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    yield part
    if part.exists():
        part.replace(path)


def _told(record: dict[str, Any]) -> str:
    box, tiny = record["box"], "" if record["enlarge_tiny"] else ", tiny boxes not enlarged"
    if not isinstance(box, dict):
        return f"Ultralytics' own loss{tiny}"
    relations = "; ".join(f"{child} in {parents} λ {weight:g}" for child, parents, weight in box["relations"])
    factors = f", factors {box['factors']}" if box.get("factors") else ""
    pseudo = ", pseudo-parents" if box.get("pseudo_parent") else ""
    return f"base {box['base']}, form {box['form']}, relations {relations}{factors}{pseudo}{tiny}"
