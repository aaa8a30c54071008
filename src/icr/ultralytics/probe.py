# SPDX-License-Identifier: AGPL-3.0-only
"""One training step with ICR and one without, from the same weights and batch: proof that the loss acts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from icr.probing import Probe, Step, compared
from icr.relations import Relation
from icr.ultralytics.kinds import kind_of
from icr.ultralytics.quiet import quiet, without_downloads
from icr.ultralytics.training import trainer
from icr.ultralytics.weights import start

_WARM_UP_STEPS = 10


def probe_step(
    data_yaml: Path,
    relations: tuple[Relation, ...] | None = None,
    *,
    model: str = "yolo11n",
    base: str = "ciou",
    form: str = "product",
    imgsz: int = 320,
    batch: int = 4,
    device: str = "cpu",
    seed: int = 0,
) -> Probe:
    """Take one training step on real data with ICR and one without, and report what differed.

    The pictures with most pairs are taken, without mosaic. Ultralytics weighs the box loss of an anchor by how well it
    already fits, which for a network from scratch is not at all, so such a one is first warmed up on the batch by
    Ultralytics' own loss. Nothing is written.

    Raises:
        InputError: the model or the data cannot be used, or no child has a parent.
    """
    begin = start(model)
    with tempfile.TemporaryDirectory() as folder, without_downloads(), quiet():
        overrides = {
            "model": begin.model,
            "data": str(data_yaml.resolve()),
            "imgsz": imgsz,
            "batch": batch,
            "device": device,
            "seed": seed,
            "project": folder,
            "name": "probe",
            "mosaic": 0.0,
            "verbose": False,
        }
        kind = kind_of(model)
        made = trainer(base=base, form=form, relations=relations, label_cache=Path(folder), of=kind)
        run = made(overrides=overrides)
        run.model = run.get_model(cfg=begin.plan, weights=begin.weights, verbose=False).to(run.device)
        run.set_model_attributes()
        dataset = run.build_dataset(run.data["train"], mode="train", batch=batch)
        most = sorted(range(len(dataset)), key=lambda i: -int((dataset.labels[i]["icr_parent"] >= 0).sum()))[:batch]
        collated = run.preprocess_batch(dataset.collate_fn([dataset[index] for index in most]))
        other_kind = trainer(enabled=False, label_cache=Path(folder), of=kind)
        plain = other_kind(overrides={**overrides, "name": "plain"})
        other = plain.get_model(cfg=begin.plan, verbose=False).to(run.device)
        other.load_state_dict(run.model.state_dict())
        other.args = run.args
        if begin.weights is None and hasattr(other.model[-1], "reg_max"):
            _warm_up(other, collated)
            run.model.load_state_dict(other.state_dict())
        acted, plainly = _step(run.model, collated, seed), _step(other, collated, seed)
    box = next(name for name in ("box_loss", "giou_loss") if name in acted.terms)
    return compared(len(most), box, acted, plainly)


def _warm_up(model: Any, batch: dict[str, Any]) -> None:
    model.train()
    heads: list[Any] = [model.model[-1], *([model.aux_head] if hasattr(model, "aux_head") else [])]
    for head in heads:
        if getattr(head, "reg_max", 1) > 1:
            # Boxes start eight cells each way, larger than any child and so of no weight; let them start at one.
            bins = torch.arange(head.reg_max, device=head.stride.device, dtype=torch.float32)
            for branch in (*head.cv2, *getattr(head, "one2one_cv2", ())):
                branch[-1].bias.data = (-((bins - 1) ** 2)).repeat(4).to(branch[-1].bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(_WARM_UP_STEPS):
        optimizer.zero_grad()
        model(batch)[0].sum().backward()
        optimizer.step()


def _step(model: Any, batch: dict[str, Any], seed: int) -> Step:
    """Forward, loss, backward and one step of SGD."""
    torch.manual_seed(seed)  # the noise that a decoder learns to mend is drawn in the step
    model.train()
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.01)
    optimizer.zero_grad()
    loss, items = model(batch)
    loss.sum().backward()
    gradient = torch.cat([each.grad.flatten() for each in parameters if each.grad is not None])
    optimizer.step()
    return Step(float(loss.detach().sum()), items, gradient)
