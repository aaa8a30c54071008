"""The engine behind `icr train`, `icr eval`, `icr predict` and `icr doctor` for the detectors of Transformers."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

from icr import distributed, runs
from icr.data.dataset import Dataset
from icr.data.formats import read as read_data
from icr.errors import InputError
from icr.relations import resolve
from icr.transformers import check_version
from icr.transformers.data import Collate, PairedPictures, sizes_around
from icr.transformers.ema import Ema
from icr.transformers.history import Table
from icr.transformers.launch import launch, needs_launch
from icr.transformers.loss import loss_function
from icr.transformers.precision import InFullPrecision
from icr.transformers.prediction import TransformersPredictor, check_places, scale_of
from icr.transformers.probe import probe_step
from icr.transformers.settings import TERMS, EngineSettings, read
from icr.transformers.tracking import check_tracker, tracker
from icr.transformers.training import AVERAGE, Bar, DetectionTrainer, Epochs, Follow, last_whole
from icr.transformers.weights import Loaded, start
from icr.transformers.weights import read as read_weights

if TYPE_CHECKING:
    from icr.training_settings import TrainSettings

__all__ = ["TransformersPredictor", "continues_exactly", "load", "probe_step", "train"]

CHECKPOINTS = "checkpoints"


def check_overrides_of(model: str, overrides: dict[str, Any], trust: bool = False, device: str | None = None) -> None:
    """Refuse settings that a detector cannot be trained with, before anything is trained.

    Raises:
        InputError: one line that names the key, and the nearest one.
    """
    check_tracker(read(overrides).report_to)


def train(settings: TrainSettings) -> None:
    """Train a detector; tables, weights and, while it lasts, a checkpoint are left in the run folder.

    Several GPUs are trained on by as many processes, started here or by `torchrun`.

    Raises:
        InputError: the model or a setting cannot be used, or the training data holds no pair.
    """
    check_version()
    asked = read(settings.overrides)
    check_tracker(asked.report_to)
    if needs_launch(settings.device):
        launch(settings, settings.device.split(","))
        return
    checkpoints, over = settings.out / CHECKPOINTS, settings.out / f"{CHECKPOINTS}.over"
    checkpoint = last_whole(checkpoints) if settings.resume else None
    done = Table(settings.out / "results.csv", settings.epochs).epochs
    if settings.resume and checkpoint is None and done >= settings.epochs:
        _say(f"{settings.out} had already been trained to its last epoch")
        shutil.rmtree(over, ignore_errors=True)
        return
    logging.set_verbosity_error()
    try:
        with distributed.leaving_group():
            _train(settings, asked, checkpoint)
    except InputError as error:
        # From a process that loads pictures it comes with a traceback in its text.
        raise InputError(str(error).strip().splitlines()[-1].rpartition("InputError: ")[2]) from None
    if _first():
        checkpoints.rename(over)  # a kill while it is removed must not leave the half of one
        shutil.rmtree(over)


def continues_exactly(run: Path) -> bool:
    """Whether a killed run would go on as if it had not been killed: on one device, from a whole checkpoint.

    Args:
        run: its folder, which is only looked at.
    """
    try:
        one_device = "," not in str(runs.read_record(run).get("device"))
    except InputError:
        return False
    return one_device and last_whole(run / CHECKPOINTS) is not None


def _train(settings: TrainSettings, asked: EngineSettings, checkpoint: Path | None) -> None:
    arguments = _arguments(settings, asked)
    set_seed(settings.seed)
    dataset = read_data(settings.data_yaml)
    begin = start(
        settings.model, dataset.names, settings.imgsz, asked, _say if _first() and not checkpoint else _silent
    )
    network = begin.network
    sizes = sizes_around(settings.imgsz) if asked.varies_size(begin.model) else ()
    check_places(network, min((settings.imgsz, *sizes)))
    _set_loss(network, settings, asked, dataset)
    pictures = _pictures(settings, asked, dataset, begin.model)
    _set_warm_up(arguments, asked, pictures)
    if arguments.world_size > 1 and asked.sync_bn and arguments.device.type == "cuda":
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    network.to(arguments.device)
    average = Ema(network, asked.ema_decay, asked.ema_ramp) if asked.ema_decay else None
    if asked.compile:
        # The backbone alone: within the decoder the tracer breaks off, and it takes minutes.
        network.model.backbone.compile()
    until = 0
    if checkpoint is not None:
        until = _taken_up(checkpoint, average)
        if _first():
            _say(f"{settings.out}: going on after epoch {until}")
    epochs = _epochs(settings, asked, dataset, begin, pictures, average, until)
    trainer = DetectionTrainer(
        asked,
        begin.model,
        average,
        model=network,
        args=arguments,
        train_dataset=pictures,
        data_collator=Collate(sizes),
        callbacks=[*([Follow(average)] if average else []), epochs, *tracker(asked.report_to, settings.out)],
    )
    epochs.trainer = trainer
    trainer.remove_callback(PrinterCallback)
    if sys.stderr.isatty() and _first():
        trainer.add_callback(Bar)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def _arguments(settings: TrainSettings, asked: EngineSettings) -> TrainingArguments:
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if settings.batch % processes:
        raise InputError(f"--batch {settings.batch}: expected a multiple of {processes}, the number of processes")
    on_cpu = settings.device == "cpu"
    half = "fp16" if asked.amp is True and not on_cpu else asked.amp
    arguments = TrainingArguments(
        output_dir=str(settings.out / CHECKPOINTS),
        per_device_train_batch_size=settings.batch // processes,
        num_train_epochs=settings.epochs,
        gradient_accumulation_steps=asked.accumulate,
        learning_rate=asked.lr,
        weight_decay=asked.weight_decay,
        max_grad_norm=asked.clip,
        lr_scheduler_type="constant_with_warmup",
        fp16=half == "fp16",
        bf16=half == "bf16",
        seed=settings.seed,
        use_cpu=on_cpu,
        dataloader_num_workers=settings.workers,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,
        # A rank whose pictures hold no box has no denoising part.
        ddp_find_unused_parameters=True,
        save_strategy="epoch",
        save_total_limit=1,
        eval_strategy="no",
        logging_strategy="no",
        report_to="none",  # callbacks are given to the trainer, which knows the run folder
        run_name=settings.out.name,
        disable_tqdm=True,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # one GPU was asked for, whatever else is there
    return arguments


def _set_warm_up(arguments: TrainingArguments, asked: EngineSettings, pictures: PairedPictures) -> None:
    step = arguments.per_device_train_batch_size * arguments.world_size * arguments.gradient_accumulation_steps
    steps = -(-len(pictures) // step) * int(arguments.num_train_epochs)
    arguments.warmup_steps = asked.warm_up(steps)
    if asked.warmup_steps is None and _first():
        _say(f"{steps} steps, the learning rate rises over the first {arguments.warmup_steps:.0f}")


def _set_loss(network: Any, settings: TrainSettings, asked: EngineSettings, dataset: Dataset) -> None:
    """Put ICR into the loss, if it is wanted; the network carries it into its average and into validation."""
    network.config.weight_loss_giou *= settings.box_gain
    if settings.icr:
        network.loss_function = loss_function(
            network,
            settings.relations,
            settings.base,
            form=settings.form,
            **{term: term in asked.icr_terms for term in TERMS},
            names=dataset.names,
            factors=settings.factors,
            pseudo_parent=settings.pseudo_parent,
            average_boxes=True,
            seed=settings.seed,
        )
    network.loss_function = InFullPrecision(network.loss_function)


def _pictures(settings: TrainSettings, asked: EngineSettings, dataset: Dataset, model: str) -> PairedPictures:
    relations = resolve(settings.relations, dataset.names) if settings.relations else ()
    pictures = PairedPictures(
        dataset.splits["train"],
        relations,
        strengths=asked.strengths,
        size=settings.imgsz,
        seed=settings.seed,
        strong_until=asked.calm_after(settings.epochs, model),
    )
    pairs = sum(int((parents >= 0).sum()) for parents in pictures.parents)
    if settings.icr and not pairs:
        raise InputError(
            f"the training data holds no pair for {', '.join(map(str, settings.relations))}, so the ICR loss could not "
            "act; check the relation, or train without ICR (--no-icr)"
        )
    if settings.relations and _first():
        _say(f"train: {len(pictures)} pictures, {pairs} children with a parent")
    return pictures


def _taken_up(checkpoint: Path, average: Ema | None) -> int:
    """Load the moving average of a checkpoint, and tell how many epochs it has behind it."""
    import json

    if average is not None:
        if not (checkpoint / AVERAGE).is_file():
            raise InputError(f"{checkpoint} holds no {AVERAGE}; resume with the settings that the run was started with")
        average.load(checkpoint / AVERAGE)
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return round(state["epoch"])


def _epochs(
    settings: TrainSettings,
    asked: EngineSettings,
    dataset: Dataset,
    begin: Loaded,
    pictures: PairedPictures,
    average: Ema | None,
    until: int,
) -> Epochs:
    network: Any = average.model if average else begin.network
    children: Sequence[str] | None = None
    if asked.best == "child" and settings.relations:
        children = [dataset.names[relation.child] for relation in resolve(settings.relations, dataset.names)]
    return Epochs(
        settings.out,
        pictures,
        [begin.network.loss_function.loss, network.loss_function.loss],
        dataset.splits["val"],
        dataset.names,
        network,
        imgsz=settings.imgsz,
        batch=settings.batch,
        model=begin.model,
        best_in=children,
        save_period=asked.save_period,
        until=until,
    )


def load(weights: Path, device: str = "cpu") -> TransformersPredictor:
    """Load trained weights, or a folder that Transformers saved; nothing is unpickled, nothing downloaded.

    Args:
        weights: a `.safetensors` of ours, or a folder with `config.json` and `model.safetensors`.
        device: `cpu`, or the index of a GPU.

    Raises:
        InputError: no such weights, or those of another kind of detector.
    """
    check_version()
    logging.set_verbosity_error()
    found = read_weights(weights)
    found.network.to("cpu" if device == "cpu" else f"cuda:{device}")
    scale = scale_of(weights)[0] if weights.is_dir() else None
    return TransformersPredictor(found.network, found.imgsz or 640, scale)


def _first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _say(text: str) -> None:
    print(f"icr: {text}", file=sys.stderr, flush=True)


def _silent(text: str) -> None:
    """For the processes beside the first."""
