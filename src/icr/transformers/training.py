"""`transformers.Trainer` for detectors with pairs: their data, their optimiser, the moving average, its validation."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from safetensors.torch import save_model
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm  # type: ignore[import-untyped]
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import ProgressCallback

from icr.data.dataset import Sample
from icr.errors import InputError
from icr.metrics.coco import coco_metrics
from icr.predictions import Predictions
from icr.transformers.data import PairedPictures, Shuffled
from icr.transformers.ema import Ema
from icr.transformers.groups import parameter_groups
from icr.transformers.history import CURVE, Table, best_so_far, curve_rows, mean_ap
from icr.transformers.loss import LossFunction
from icr.transformers.prediction import TransformersPredictor
from icr.transformers.settings import EngineSettings
from icr.transformers.tracking import logged
from icr.transformers.weights import write

AVERAGE = "ema.safetensors"
_COUNTERS = ("icr_pairs", "icr_containment", "icr_factor")


class DetectionTrainer(Trainer):
    """Hugging Face's `Trainer` with RT-DETR's optimiser and a moving average in its checkpoints.

    Args:
        settings: of the engine.
        name: the detector's, which the recipe depends on.
        average: the moving average; None: there is none.
        others: of `transformers.Trainer`; `train_dataset` is a `PairedPictures`.

    Attributes:
        seen: sums over the epoch so far, by term of the loss; tensors on the device, so that no step waits for them.
    """

    def __init__(self, settings: EngineSettings, name: str, average: Ema | None, **others: Any) -> None:
        super().__init__(**others)
        self.settings = settings
        self.name = name
        self.average = average
        self.seen: dict[str, Tensor] = {}
        # The loss is a mean over a batch: with accumulated gradients it has yet to be divided by their number.
        self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The pictures in an order that depends on seed and epoch alone."""
        assert self.train_dataset is not None and self.data_collator is not None
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_size=self.args.per_device_train_batch_size,
            sampler=Shuffled(self.train_dataset),
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
            persistent_workers=self.args.dataloader_num_workers > 0,
            # Its own: a loader draws from the global one, how often depends on the number of processes.
            generator=torch.Generator(),
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW on the groups of the detector's recipe."""
        if self.optimizer is None:  # type: ignore[has-type]
            groups = parameter_groups(
                model or self.model,
                lr=self.settings.lr,
                backbone_lr=self.settings.backbone_rate(self.name),
                weight_decay=self.settings.weight_decay,
                decay_biases=self.name.endswith("r18"),
            )
            self.optimizer = torch.optim.AdamW(groups, lr=self.settings.lr, betas=(0.9, 0.999))
        return self.optimizer

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The model's own loss; its terms are summed up for the log of the epoch.

        Raises:
            InputError: the training has diverged.
        """
        try:
            outputs = model(**inputs)
        except ValueError as error:
            if "corner" not in str(error):
                raise
            # What Transformers' matcher says of boxes that are no numbers.
            raise InputError(
                f"the predicted boxes are no longer numbers after {self.state.global_step} steps: the training has "
                "diverged; lower --set lr, or train with --set amp=false"
            ) from None
        with torch.no_grad():
            self._count(outputs.loss, outputs.loss_dict)
        return (outputs.loss, outputs) if kwargs.get("return_outputs") else outputs.loss

    def _count(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        pairs = terms.get("icr_pairs")
        seen = {"batches": loss.new_ones(()), "loss": loss.detach()}
        for term, value in terms.items():
            if term in ("icr_containment", "icr_factor"):
                assert pairs is not None
                seen[term] = value * pairs  # the mean over an epoch is one over its pairs
            elif term == "icr_pairs" or not any(part in term for part in ("_aux", "_dn", "_enc")):
                seen[term] = value.detach()
        for term, value in seen.items():
            self.seen[term] = self.seen.get(term, 0) + value.double().detach()

    def epoch_means(self) -> dict[str, float]:
        """Means of the epoch over all processes, by column of `results.csv`; the sums start anew."""
        mine = {term: float(value) for term, value in self.seen.items()}
        self.seen = {}
        everyone: list[dict[str, float]] = gather_object([mine])
        sums: dict[str, float] = {}
        for each in everyone:
            for term, value in each.items():
                sums[term] = sums.get(term, 0.0) + value
        batches, pairs = sums.pop("batches"), sums.get("icr_pairs", 0.0)
        steps = batches / len(everyone)
        means = {f"train/{term}": value / batches for term, value in sums.items() if term not in _COUNTERS}
        if "icr_pairs" in sums:
            means["train/icr_pairs"] = pairs / steps
            for term in _COUNTERS[1:]:
                means[f"train/{term}"] = sums[term] / pairs if pairs else 1.0
        return means

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Store the weights and their moving average; before all else, so that a checkpoint with a state is whole."""
        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            save_model(
                self.accelerator.unwrap_model(self.model, keep_torch_compile=False), str(folder / "model.safetensors")
            )
            if self.average is not None:
                self.average.save(folder / AVERAGE)


class Follow(TrainerCallback):
    """Has the moving average follow each step."""

    def __init__(self, average: Ema) -> None:
        self.average = average

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """One more update."""
        self.average.update(others["model"])


class Bar(ProgressCallback):
    """Transformers' progress bar, without the lines it would print."""

    def on_log(self, *args: Any, **others: Any) -> None:
        """Nothing."""


class Epochs(TrainerCallback):
    """What happens when an epoch begins and ends: chance is set, the average validated, tables and weights written.

    Args:
        out: the run folder.
        data: the training pictures.
        losses: of the model and of its average; those of ours are told the epoch.
        samples, names: the validation split.
        network: what is validated and stored.
        imgsz, batch: of validation.
        model: the detector's name.
        best_in: the classes whose mean AP the best weights are best in; None: all.
        save_period: the weights of the first epoch and of each so many after it are kept, named by epoch from 0 as
            Ultralytics names them; none below 1.
        until: epochs that a resumed run has behind it.
    """

    def __init__(
        self,
        out: Path,
        data: PairedPictures,
        losses: Sequence[Any],
        samples: Sequence[Sample],
        names: Sequence[str],
        network: Any,
        *,
        imgsz: int,
        batch: int,
        model: str,
        best_in: Sequence[str] | None,
        save_period: int,
        until: int,
    ) -> None:
        self.out, self.data, self.samples, self.names, self.network = out, data, list(samples), list(names), network
        self.losses = [each for each in losses if isinstance(each, LossFunction)]
        self.imgsz, self.batch, self.model, self.best_in = imgsz, batch, model, best_in
        self.save_period = save_period
        self.log = Table(out / "results.csv", until)
        self.curve = Table(out / CURVE, until)
        self.best = best_so_far(self.curve, best_in)
        self.trainer: DetectionTrainer | None = None
        self.began = 0.0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Draw for this epoch, in the data and in the controls of the loss, whatever was drawn before."""
        epoch = round(state.epoch or 0)
        self.began = time.monotonic()
        self.data.epoch = epoch
        for loss in self.losses:
            loss.epoch = epoch
            loss.generator.manual_seed(self.data.seed + (epoch << 20) + args.process_index)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Log, validate, and keep the weights."""
        assert self.trainer is not None
        epoch = round(state.epoch)
        rate = others["lr_scheduler"].get_last_lr()[0]
        means = self.trainer.epoch_means()
        seconds = time.monotonic() - self.began
        found = self._validate(args)
        if found is None:
            return
        rows = curve_rows(epoch, self.names, coco_metrics(self.samples, self.names, found).classes)
        figures = {"val/AP": mean_ap(rows), "val/AP50": mean_ap([{**row, "AP": row["AP50"]} for row in rows])}
        value = mean_ap(rows, self.best_in)
        weights = self.out / "weights"
        weights.mkdir(exist_ok=True)
        # Weights first: what the tables tell of is there, whenever a kill comes.
        write(weights / "last.safetensors", self.network, model=self.model, imgsz=self.imgsz)
        if value > self.best:
            self.best = value
            write(weights / "best.safetensors", self.network, model=self.model, imgsz=self.imgsz)
        if self.save_period > 0 and (epoch - 1) % self.save_period == 0:
            write(weights / f"epoch{epoch - 1}.safetensors", self.network, model=self.model, imgsz=self.imgsz)
        self.curve.add(*rows)
        row = {"epoch": epoch, "time": round(seconds, 2), **means, **figures, "lr": rate}
        self.log.add(row)
        self.trainer.log(logged(row, rows))
        _tell(epoch, args.num_train_epochs, means, rows, seconds)

    def _validate(self, args: Any) -> list[Predictions] | None:
        """What the network finds in the validation pictures, each process in its share; None but in the first one."""
        mine = self.samples[args.process_index :: args.world_size]
        training = self.network.training
        predictor = TransformersPredictor(self.network, self.imgsz)
        found = list(predictor.predict([sample.image for sample in mine], batch=self.batch))
        self.network.train(training)
        shares: list[list[Predictions]] = gather_object([found])
        if args.process_index:
            return None
        everyone: list[Any] = [None] * len(self.samples)
        for rank, share in enumerate(shares):
            everyone[rank :: args.world_size] = share
        return everyone


def _tell(epoch: int, epochs: float, means: dict[str, float], rows: Sequence[dict[str, Any]], seconds: float) -> None:
    """One line for an epoch, on stderr."""
    line = f"epoch {epoch}/{round(epochs)}: loss {means['train/loss']:.3f}"
    if "train/icr_pairs" in means:
        line += (
            f", {means['train/icr_pairs']:.1f} pairs a batch, R {means['train/icr_containment']:.3f}, "
            f"factor {means['train/icr_factor']:.3f}"
        )
    values = ", ".join(f"{row['class']} {row['AP']:.3f}" for row in rows if row["AP"] >= 0)
    tqdm.write(f"{line}; val AP {mean_ap(rows):.3f} ({values}); {seconds:.0f} s", file=sys.stderr)  # above the bar


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; its state, which comes last, can then be read.

    Example:
        >>> last_whole(Path("/nowhere")) is None
        True
    """
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda each: -int(each.name.rpartition("-")[2])):
        try:
            json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return checkpoint
    return None
