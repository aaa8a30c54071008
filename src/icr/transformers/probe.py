"""One training step with ICR and one without, from the same weights and batch: proof that the loss acts."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed
from transformers.utils import logging

from icr.data.formats import read as read_data
from icr.errors import InputError
from icr.probing import Probe, Step, compared
from icr.relations import Relation, resolve
from icr.transformers.data import Collate, PairedPictures
from icr.transformers.loss import loss_function
from icr.transformers.prediction import check_places
from icr.transformers.settings import EngineSettings
from icr.transformers.weights import start


def probe_step(
    data_yaml: Path,
    relations: tuple[Relation, ...] | None = None,
    *,
    model: str = "rtdetrv2-r18",
    base: str = "giou",
    form: str = "product",
    imgsz: int = 320,
    batch: int = 4,
    device: str = "cpu",
    seed: int = 0,
) -> Probe:
    """Take one training step on real data with ICR and one without, and report what differed.

    The pictures with most pairs are taken, not augmented; both steps draw the same denoising queries. Nothing is
    written.

    Raises:
        InputError: the model or the data cannot be used, or no child has a parent.
    """
    logging.set_verbosity_error()
    dataset = read_data(data_yaml)
    asked = tuple(relations or dataset.relations)
    if not asked:
        raise InputError(f"{data_yaml} declares no relation; name one, such as --relation plate:vehicle")
    set_seed(seed)
    network = start(model, dataset.names, imgsz, EngineSettings(), _say).network
    check_places(network, imgsz)
    pictures = PairedPictures(dataset.splits["train"], resolve(asked, dataset.names), size=imgsz, seed=seed)
    most = sorted(range(len(pictures)), key=lambda index: -int((pictures.parents[index] >= 0).sum()))[:batch]
    collated = Collate()([pictures[index] for index in most])
    if not any((each["parent"] >= 0).any() for each in collated["labels"]):
        raise InputError(f"{data_yaml}: no child of {', '.join(map(str, asked))} in train has a parent")
    place = torch.device("cpu" if device == "cpu" else f"cuda:{device}")
    network.to(place).train()
    inputs = _moved(collated, place)
    other = copy.deepcopy(network)
    network.loss_function = loss_function(network, asked, base, form=form, names=dataset.names, seed=seed)
    return compared(len(most), "loss_giou", _step(network, inputs, seed), _step(other, inputs, seed))


def _moved(batch: dict[str, Any], place: torch.device) -> dict[str, Any]:
    labels = [{key: value.to(place) for key, value in each.items()} for each in batch["labels"]]
    return {"pixel_values": batch["pixel_values"].to(place), "labels": labels}


def _step(network: Any, inputs: dict[str, Any], seed: int) -> Step:
    """Forward, loss, backward and one step of SGD."""
    weights = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=1e-4)
    torch.manual_seed(seed)
    outputs = network(**inputs)
    outputs.loss.backward()
    gradient = torch.cat(
        [torch.zeros_like(each).flatten() if each.grad is None else each.grad.flatten() for each in weights]
    )
    optimizer.step()
    return Step(float(outputs.loss.detach()), outputs.loss_dict, gradient)


def _say(text: str) -> None:
    print(f"icr: {text}", file=sys.stderr, flush=True)
