# SPDX-License-Identifier: AGPL-3.0-only
"""The controls of the proof inside a training: matched, permuted, pseudo-parents, the box gain; and `curve.csv`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_scenes import results

from icr.errors import InputError
from icr.losses import icr_terms
from icr.relations import ResolvedRelation
from icr.training import TrainSettings
from icr.ultralytics import trainer
from icr.ultralytics.moment import Moment
from icr.ultralytics.settings import BoxLoss

Arguments = Callable[..., dict[str, Any]]
RELATION = (ResolvedRelation(0, (1,), 2.5),)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the loss of every batch was made from, and what came out."""
    calls: list[dict[str, Any]] = []

    def spy(pred: Any, target: Any, parent: Any, **settings: Any) -> Any:
        terms = icr_terms(pred, target, parent, **settings)
        boxes = {"pred": pred.detach(), "target": target, "parent": parent}
        calls.append({**settings, **boxes, "terms": terms, "trains": torch.is_grad_enabled()})
        return terms

    monkeypatch.setattr("icr.ultralytics.settings.icr_terms", spy)
    return calls


class StoppedError(Exception):
    """A kill, as a test can survive it."""


def stop_at(run: Any, epoch: int) -> None:
    def stop(each: Any) -> None:
        if each.epoch == epoch:
            raise StoppedError

    run.add_callback("on_train_batch_end", stop)
    with pytest.raises(StoppedError):
        run.train()


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_matched_has_the_factor_of_its_epoch_in_training_validation_and_after_a_resume(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, seen: list[dict[str, Any]], net: str
) -> None:
    out = tmp_path / "run"
    made = trainer(form="matched", factors=(3.0, 2.0, 1.5))
    stop_at(made(overrides=arguments(out, model=str(getattr(nets, net)), epochs=4)), epoch=2)
    made(overrides={"resume": str(out / "weights" / "last.pt")}).train()
    branches = 2 if net == "end2end" else 1
    validated = [float(each["weight"]) for each in seen if not each["trains"]]
    assert validated == [factor for factor in (3.0, 2.0, 1.5, 1.5) for _ in range(branches)]
    # the fourth epoch has no factor of its own, and takes the last
    logged = [float(row["train/icr_factor"]) for row in results(out)]
    assert logged == pytest.approx([3.0, 2.0, 1.5, 1.5], abs=1e-5)


def test_matched_weighs_every_child_with_a_parent_alike_and_no_other_box(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, seen: list[dict[str, Any]]
) -> None:
    trainer(form="matched", factors=(3.0,))(overrides=arguments(tmp_path / "run", model=str(nets.plain))).train()
    assert any(each["has_parent"].any() for each in seen)
    for each in seen:
        expected = torch.where(each["has_parent"], 3.0, 1.0) * each["terms"].base
        torch.testing.assert_close(each["terms"].loss, expected)


def test_permuted_deals_out_the_factors_of_icr(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, seen: list[dict[str, Any]]
) -> None:
    trainer(form="permuted")(overrides=arguments(tmp_path / "run", model=str(nets.plain))).train()
    changed = 0
    for each in seen:
        has = each["has_parent"]
        own = icr_terms(
            each["pred"], each["target"], each["parent"], weight=each["weight"], form="detached", has_parent=has
        )
        dealt = each["terms"].factor
        torch.testing.assert_close(dealt[has].sort().values, own.factor[has].sort().values)
        assert (dealt[~has] == 1).all()
        changed += int((dealt[has] != own.factor[has]).sum())
    assert changed > 0
    assert all(float(row["train/icr_factor"]) > 1 for row in results(tmp_path / "run"))


def sides(boxes: torch.Tensor) -> torch.Tensor:
    return boxes[..., 2:] - boxes[..., :2]


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_pseudo_parents_replace_the_parents_and_are_drawn_for_each_child_and_batch(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, seen: list[dict[str, Any]], net: str
) -> None:
    plain = dict.fromkeys(("mosaic", "mixup", "cutmix", "degrees", "translate", "scale", "fliplr"), 0.0)
    trainer(pseudo_parent=True)(overrides=arguments(tmp_path / "run", model=str(getattr(nets, net)), **plain)).train()
    laid: dict[tuple[float, ...], set[tuple[float, ...]]] = {}
    for each in (call for call in seen if call["trains"]):
        children, parents = each["target"][each["has_parent"]], each["parent"][each["has_parent"]]
        assert (parents[:, :2] <= children[:, :2] + 1e-3).all() and (parents[:, 2:] >= children[:, 2:] - 1e-3).all()
        for child, parent in zip(children.tolist(), parents.tolist(), strict=True):
            laid.setdefault(tuple(child), set()).add(tuple(parent))
    # A child comes once in each of two epochs; there, all its anchors, in both branches, are held to one box.
    assert {len(boxes) for boxes in laid.values()} <= {1, 2} and max(len(boxes) for boxes in laid.values()) == 2


def test_a_pseudo_parent_knows_the_size_of_the_parent_and_not_its_place() -> None:
    box = BoxLoss("ciou", "product", RELATION, pseudo_parent=True, moment=Moment(seed=3, epoch=1, batch=2))
    children = torch.tensor([[10.0, 10.0, 12.0, 11.0]]).repeat(4000, 1)
    here = torch.tensor([[5.0, 4.0, 25.0, 14.0]]).repeat(4000, 1)
    laid = box.held_to(children, here)
    assert torch.equal(laid, box.held_to(children, here + 300)), "the same wherever the parent is"
    torch.testing.assert_close(sides(laid), sides(here))
    # Along x the box may begin anywhere from 12 - 20 to 10, along y from 11 - 10 to 10: evenly.
    share = (laid[:, :2] - torch.tensor([-8.0, 1.0])) / torch.tensor([18.0, 9.0])
    assert ((share >= -1e-6) & (share <= 1 + 1e-6)).all()
    torch.testing.assert_close(share.mean(0), torch.full((2,), 0.5), atol=0.02, rtol=0)
    steps = torch.linspace(0, 1, 11)
    for axis in share.T:
        counted = torch.histogram(axis.contiguous(), steps).hist
        assert ((counted - 400).abs() < 5 * 20).all(), "each tenth holds a tenth, within five deviations"


def test_a_pseudo_parent_that_cannot_hold_the_child_lies_inside_it() -> None:
    box = BoxLoss("ciou", "product", RELATION, pseudo_parent=True)
    # The child is 30 wide and 4 high, its parent (cut by the picture's edge) 20 wide and 10 high.
    children, parents = torch.tensor([[0.0, 50.0, 30.0, 54.0]]), torch.tensor([[0.0, 46.0, 20.0, 56.0]])
    ((left, top, right, bottom),) = box.held_to(children, parents).tolist()
    assert left >= 0 and right <= 30 and right - left == pytest.approx(20)
    assert top <= 50 and bottom >= 54 and bottom - top == pytest.approx(10)


def test_draws_depend_on_seed_epoch_batch_and_process_alone() -> None:
    children, parents = torch.tensor([[10.0, 10.0, 12.0, 11.0]]), torch.tensor([[0.0, 0.0, 90.0, 90.0]])
    here = Moment(seed=1, rank=0, epoch=2, batch=3)

    def laid(moment: Moment) -> torch.Tensor:
        return BoxLoss("ciou", "product", RELATION, pseudo_parent=True, moment=moment).held_to(children, parents)

    state = torch.get_rng_state()
    assert torch.equal(laid(here), laid(replace(here)))
    for other in ({"seed": 2}, {"rank": 1}, {"epoch": 3}, {"batch": 4}):
        assert not torch.equal(laid(here), laid(replace(here, **other))), other
    assert torch.equal(torch.get_rng_state(), state), "the global random state is left alone"


def test_a_control_is_not_resumed_as_something_else(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments
) -> None:
    out = tmp_path / "run"
    stop_at(trainer(pseudo_parent=True)(overrides=arguments(out, model=str(nets.plain), epochs=3)), epoch=1)
    for other in (trainer(), trainer(form="matched", factors=(1.0,))):
        with pytest.raises(InputError, match=r"was trained with base ciou, form product.*pseudo-parents"):
            other(overrides={"resume": str(out / "weights" / "last.pt")}).train()


def test_controls_that_miss_something_are_refused() -> None:
    for given in ({"form": "matched"}, {"factors": (1.0,)}):
        with pytest.raises(InputError, match="go together"):
            trainer(**given)
    with pytest.raises(InputError, match="expected numbers of at least 0"):
        trainer(form="matched", factors=(1.0, -1.0))


def test_the_box_gain_is_times_the_engines_own(tmp_path: Path) -> None:
    from icr.ultralytics import engine
    from icr.ultralytics.training import DetectionTrainer

    asked = TrainSettings("yolo11n", tmp_path, (), tmp_path, box_gain=1.5)
    assert engine._arguments(asked, DetectionTrainer)["box"] == 7.5 * 1.5
    assert engine._arguments(replace(asked, overrides={"box": 4.0}), DetectionTrainer)["box"] == 6.0
    assert "box" not in engine._arguments(replace(asked, box_gain=1.0), DetectionTrainer)


@pytest.mark.parametrize("kind", ["off", "weight 0", "icr"])
def test_the_curve_has_every_class_in_every_epoch(trained: Callable[..., Path], kind: str) -> None:
    run = trained(kind)
    with (run / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["class"]) for row in rows] == [
        (str(epoch), name) for epoch in (1, 2) for name in ("plate", "vehicle")
    ]
    for row in results(run):
        own = [each for each in rows if each["epoch"] == row["epoch"]]
        for column, stock in (("AP50", "metrics/mAP50(B)"), ("AP", "metrics/mAP50-95(B)")):
            mean = sum(float(each[column]) for each in own) / 2
            assert mean == pytest.approx(float(row[stock]), abs=2e-5)


def test_the_baseline_logs_how_much_there_was_to_act_on(trained: Callable[..., Path]) -> None:
    for row in results(trained("weight 0")):
        assert float(row["train/icr_pairs"]) > 0 and float(row["train/icr_factor"]) == 1
        assert 0 < float(row["train/icr_containment"]) < 1
