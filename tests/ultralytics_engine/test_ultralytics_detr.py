# SPDX-License-Identifier: AGPL-3.0-only
"""The DETR criterion of Ultralytics with ICR in it: what it computes, where it acts, what it leaves alone."""

from __future__ import annotations

import copy
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from tiny_scenes import DETR
from torch import Tensor
from ultralytics.models.utils.loss import RTDETRDetectionLoss
from ultralytics.nn.tasks import RTDETRDetectionModel

from icr.errors import InputError
from icr.losses import box_loss, icr_loss
from icr.relations import ResolvedRelation
from icr.ultralytics.detr.criterion import DETRCriterion
from icr.ultralytics.detr.model import RelatedDETR, related
from icr.ultralytics.detr.settings import KEYS, TERMS, DetrSettings, settle
from icr.ultralytics.settings import BoxLoss

STOCK = DetrSettings(vfl_alpha=0.25, vfl_gamma=1.5)
SIZE = 64


def box(base: str = "giou", weight: float = 2.5, form: str = "product") -> BoxLoss:
    return BoxLoss(base, form, (ResolvedRelation(0, (1,), weight),))


def batch(seed: int = 0, pictures: int = 2, stated: bool = True) -> dict[str, Any]:
    """Three children (class 0) in three parents (class 1) in every picture, child and parent in turn."""
    chance = torch.Generator().manual_seed(seed)
    parents = torch.cat(
        [0.3 + 0.4 * torch.rand(3 * pictures, 2, generator=chance), torch.full((3 * pictures, 2), 0.3)], 1
    )
    children = torch.cat([parents[:, :2] + 0.05, torch.full((3 * pictures, 2), 0.1)], 1)
    rows = torch.stack([children, parents], 1).flatten(0, 1)
    count = len(rows)
    found = {
        "img": torch.rand(pictures, 3, SIZE, SIZE, generator=chance),
        "cls": torch.tensor([0.0, 1.0]).repeat(count // 2)[:, None],
        "bboxes": rows,
        "batch_idx": torch.arange(pictures).repeat_interleave(6).float(),
    }
    if stated:
        found["parent"] = torch.where(torch.arange(count) % 2 == 0, torch.arange(count) + 1, -1)
    return found


def targets(given: dict[str, Any]) -> dict[str, Any]:
    """What Ultralytics' model hands to the criterion."""
    pictures = len(given["img"])
    return {
        "cls": given["cls"].long().view(-1),
        "bboxes": given["bboxes"],
        "batch_idx": given["batch_idx"].long(),
        "gt_groups": [int((given["batch_idx"] == index).sum()) for index in range(pictures)],
    }


def predictions(layers: int, queries: int = 12, seed: int = 3) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    centres = 0.2 + 0.6 * torch.rand(layers, 2, queries, 2, generator=chance)
    boxes = torch.cat([centres, 0.05 + 0.2 * torch.rand(layers, 2, queries, 2, generator=chance)], -1)
    return boxes.requires_grad_(), torch.randn(layers, 2, queries, 2, generator=chance).requires_grad_()


def denoising(layers: int, given: dict[str, Any]) -> dict[str, Any]:
    """Two groups of noised boxes of every label, as `get_cdn_group` describes them."""
    boxes, scores = predictions(layers, queries=24, seed=4)
    labels = torch.arange(12).split([6, 6])
    places = torch.cat([torch.arange(6), torch.arange(6) + 12])
    meta = {"dn_pos_idx": [places, places], "dn_gt_idx": list(labels), "dn_num_group": 2, "dn_num_split": [24, 12]}
    return {"dn_bboxes": boxes, "dn_scores": scores, "dn_meta": meta}


def computed(criterion: Any, given: dict[str, Any], layers: int = 4) -> dict[str, Tensor]:
    if isinstance(criterion, DETRCriterion):
        criterion.see(given)
    return dict(criterion(predictions(layers), targets(given), **denoising(layers - 1, given)))


def test_weight_zero_is_ultralytics_own_loss_to_the_last_bit() -> None:
    given = batch()
    stock = computed(RTDETRDetectionLoss(nc=2, use_vfl=True), given)
    ours = computed(DETRCriterion(2, "giou", box(weight=0.0), STOCK), given)
    off = computed(DETRCriterion(2, "giou", None, STOCK), given)
    assert stock.keys() == ours.keys() == off.keys()
    for name, loss in stock.items():
        assert torch.equal(loss, ours[name]) and torch.equal(loss, off[name]), name


def test_only_the_iou_term_is_touched() -> None:
    given = batch()
    stock = computed(RTDETRDetectionLoss(nc=2, use_vfl=True), given)
    ours = computed(DETRCriterion(2, "giou", box(), STOCK), given)
    changed = {name for name, loss in stock.items() if not torch.equal(loss, ours[name])}
    assert changed == {"loss_giou", "loss_giou_aux", "loss_giou_dn", "loss_giou_aux_dn"}
    assert all(ours[name] > stock[name] for name in changed)


@pytest.mark.parametrize("form", ["product", "sum", "step", "power"])
@pytest.mark.parametrize("base", ["giou", "inner-siou", "ciou"])
def test_the_iou_term_equals_a_loop_over_the_matches(base: str, form: str) -> None:
    given = batch()
    criterion = DETRCriterion(2, "giou", box(base, 1.7, form), STOCK)
    criterion.see(given)
    boxes, scores = (each[0] for each in predictions(1))
    labels = targets(given)
    matches = criterion.matcher(boxes, scores, labels["bboxes"], labels["cls"], labels["gt_groups"])
    criterion.calls = 0
    loss = criterion._get_loss(boxes, scores, labels["bboxes"], labels["cls"], labels["gt_groups"])
    total, inside, pairs = 0.0, 0.0, 0
    for picture, (queries, rows) in enumerate(matches):
        for query, row in zip(queries.tolist(), rows.tolist(), strict=True):
            pred, target = corners(boxes[picture, query]), corners(labels["bboxes"][row])
            if row % 2:
                total += float(box_loss(pred, target, base=base).detach())
                continue
            parent = corners(labels["bboxes"][row + 1])
            total += float(icr_loss(pred, target, parent, base=base, weight=1.7, form=form).detach())
            inside += overlap(pred.tolist(), parent.tolist())
            pairs += 1
    assert float(loss["loss_giou"].detach()) == pytest.approx(2 * total / 12, rel=1e-4)
    assert float(criterion.items["icr_containment"]) == pytest.approx(inside / pairs, rel=1e-4)
    assert int(criterion.items["icr_pairs"]) == pairs == 6


def corners(cxcywh: Tensor) -> Tensor:
    return torch.cat([cxcywh[:2] - cxcywh[2:] / 2, cxcywh[:2] + cxcywh[2:] / 2]) * SIZE


def overlap(child: list[float], parent: list[float]) -> float:
    wide = max(0.0, min(child[2], parent[2]) - max(child[0], parent[0]))
    high = max(0.0, min(child[3], parent[3]) - max(child[1], parent[1]))
    return wide * high / ((child[2] - child[0]) * (child[3] - child[1]))


@dataclass(frozen=True)
class Counted(BoxLoss):
    """Counts the box losses that ICR acts in, by how many matches each has."""

    def terms(self, *args: Any, **kwargs: Any) -> Any:
        CALLS.append(len(args[0]))
        return super().terms(*args, **kwargs)


CALLS: list[int] = []


@pytest.mark.parametrize(
    ("terms", "plain", "noised"),
    [
        (TERMS, 7, 6),  # RT-DETR-L and R50: last layer, encoder, five layers; six layers of denoising
        (("main",), 1, 0),
        (("encoder",), 1, 0),
        (("auxiliary",), 5, 0),
        (("denoising",), 0, 6),
        (("main", "denoising"), 1, 6),
    ],
)
def test_icr_reaches_these_box_losses(terms: tuple[str, ...], plain: int, noised: int) -> None:
    CALLS.clear()
    counted = Counted("giou", "product", (ResolvedRelation(0, (1,), 2.5),))
    computed(DETRCriterion(2, "giou", counted, DetrSettings(icr_terms=terms)), batch(), layers=7)
    assert Counter(CALLS) == Counter({12: plain, 24: noised})


def test_the_encoder_is_the_first_layer_that_ultralytics_puts_before_the_decoders() -> None:
    given = batch()
    for term, layer in (("encoder", 0), ("auxiliary", 1), ("main", 2)):
        boxes, scores = predictions(3)
        criterion = DETRCriterion(2, "giou", box(), DetrSettings(icr_terms=(term,)))
        criterion.see(given)
        plain = DETRCriterion(2, "giou", None, DetrSettings())
        plain.see(given)
        difference = sum(criterion((boxes, scores), targets(given)).values()) - sum(
            plain((boxes, scores), targets(given)).values()
        )
        difference.backward()
        assert boxes.grad is not None
        reached = [bool(each.abs().max() > 1e-5) for each in boxes.grad]
        assert reached == [index == layer for index in range(3)]


def test_pairs_that_are_not_stated_are_found_by_geometry() -> None:
    stated, found = (DETRCriterion(2, "giou", box(), STOCK) for _ in range(2))
    stated.see(batch())
    found.see(batch(stated=False))
    assert torch.equal(stated.has_parent, found.has_parent)
    # parents may lie one over another: then geometry can only take one that holds the child
    rows = batch()["bboxes"]
    for row in range(0, 12, 2):
        parent = found.parents[row].tolist()
        assert overlap(corners(rows[row]).tolist(), parent) > 0.99


def test_controls_reach_the_criterion() -> None:
    given, relations = batch(), (ResolvedRelation(0, (1,), 2.5),)
    plain = computed(DETRCriterion(2, "giou", None, STOCK), given)
    same = computed(DETRCriterion(2, "giou", BoxLoss("giou", "matched", relations, factors=(1.0,)), STOCK), given)
    twice = computed(DETRCriterion(2, "giou", BoxLoss("giou", "matched", relations, factors=(2.0,)), STOCK), given)
    thrice = computed(DETRCriterion(2, "giou", BoxLoss("giou", "matched", relations, factors=(3.0,)), STOCK), given)
    for name in ("loss_giou", "loss_giou_aux", "loss_giou_dn"):
        torch.testing.assert_close(same[name], plain[name])
        torch.testing.assert_close(thrice[name] - plain[name], 2 * (twice[name] - plain[name]))
        assert plain[name] < twice[name] < 2 * plain[name], "children alone are weighed"
    pseudo = DETRCriterion(2, "giou", BoxLoss("giou", "product", relations, pseudo_parent=True), STOCK)
    pseudo.see(given)
    true = DETRCriterion(2, "giou", box(), STOCK)
    true.see(given)
    held, parents = pseudo.parents[::2], true.parents[::2]
    torch.testing.assert_close(held[:, 2:] - held[:, :2], parents[:, 2:] - parents[:, :2])
    assert (held - parents).abs().amax(1).min() > 0.1


def test_a_batch_without_a_box_is_no_loss_of_boxes() -> None:
    given = {**batch(), "cls": torch.zeros(0, 1), "bboxes": torch.zeros(0, 4), "batch_idx": torch.zeros(0)}
    for parent in ({"parent": torch.zeros(0, dtype=torch.int64)}, {}):
        criterion = DETRCriterion(2, "giou", box(), STOCK)
        criterion.see({**{key: value for key, value in given.items() if key != "parent"}, **parent})
        losses = criterion(predictions(3), targets(given))
        assert float(losses["loss_giou"].detach()) == 0 and all(loss.isfinite() for loss in losses.values())
        assert float(criterion.items["icr_pairs"]) == 0


def test_the_class_loss_and_the_gain_are_settings() -> None:
    given = batch()
    stock = computed(RTDETRDetectionLoss(nc=2, use_vfl=True, gamma=2.0, alpha=0.75), given)
    ours = computed(DETRCriterion(2, "giou", None, DetrSettings(giou_gain=3.0)), given)
    assert torch.equal(stock["loss_class"], ours["loss_class"])
    torch.testing.assert_close(ours["loss_giou"], stock["loss_giou"] * 1.5)


def tiny(tmp_path: Any) -> RTDETRDetectionModel:
    (tmp_path / "detr.yaml").write_text(DETR)
    torch.manual_seed(0)
    model = RTDETRDetectionModel(str(tmp_path / "detr.yaml"), nc=2, verbose=False)
    model.nc = 2
    return model


def step(model: Any, given: dict[str, Any], autocast: bool = False) -> tuple[float, dict[str, Tensor], Tensor]:
    model = copy.deepcopy(model).train()
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss, items = model.loss(given)
    loss.backward()
    gradient = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
    return float(loss.detach()), items, gradient


def test_a_step_of_a_network_with_and_without(tmp_path: Any) -> None:
    model, given = tiny(tmp_path), batch()
    plain = step(model, given)
    nothing = step(related(copy.deepcopy(model), box(weight=0.0), STOCK), given)
    assert plain[0] == nothing[0] and torch.equal(plain[2], nothing[2])
    loss, items, gradient = step(related(copy.deepcopy(model), box(), STOCK), given)
    assert loss > plain[0] and float(items["icr_factor"]) > 1 and float(items["icr_pairs"]) == 6
    assert (gradient - plain[2]).norm() > 1e-3 * plain[2].norm()
    assert {name: float(items[name]) for name in ("cls_loss", "l1_loss")} == {
        name: float(plain[1][name]) for name in ("cls_loss", "l1_loss")
    }


def test_gradients_are_finite_in_bfloat16(tmp_path: Any) -> None:
    loss, _, gradient = step(related(tiny(tmp_path), box("inner-siou"), STOCK), batch(), autocast=True)
    assert math.isfinite(loss) and gradient.isfinite().all() and gradient.any()


def test_denoising_is_alive_and_icr_acts_in_it(tmp_path: Any) -> None:
    model = related(tiny(tmp_path), box(), DetrSettings(icr_terms=("denoising",))).train()
    CALLS.clear()
    model.icr = Counted("giou", "product", (ResolvedRelation(0, (1,), 2.5),))
    model.loss(batch())
    # 100 noised labels over six in the fullest picture: sixteen groups, twelve labels in each
    assert CALLS == [16 * 12] * 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rtdetr-l", "rtdetr-resnet50"])
def test_icr_reaches_seven_and_six_box_losses_of_rt_detr(name: str) -> None:
    model = RTDETRDetectionModel(f"{name}.yaml", nc=2, verbose=False)
    CALLS.clear()
    related(model, Counted("giou", "product", (ResolvedRelation(0, (1,), 2.5),)), STOCK).train().loss(batch())
    assert Counter(CALLS) == Counter({12: 7, 16 * 12: 6})


def test_a_copy_of_the_model_keeps_the_criterion(tmp_path: Any) -> None:
    model = related(tiny(tmp_path), box(), STOCK).train()
    model.loss(batch())
    twin = copy.deepcopy(model).eval()
    assert type(twin) is RelatedDETR and isinstance(twin.criterion, DETRCriterion)
    with torch.no_grad():
        items = twin.loss(batch(), twin.predict(batch()["img"]))[1]
    assert float(items["icr_pairs"]) == 6


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"icr_terms": ["main", "encodr"]}, "did you mean 'encoder'"),
        ({"icr_terms": []}, "expected one or more of main, auxiliary"),
        ({"icr_terms": 3}, "expected one or more of main, auxiliary"),
        ({"clip": -1}, "--set clip=-1: expected a number of at least 0"),
        ({"vfl_gamma": "two"}, "--set vfl_gamma=two"),
        ({"warmup_iterations": 1.5}, "expected a whole number"),
        ({"vfl_alpha": True}, "--set vfl_alpha=True"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        settle(given, DetrSettings())


def test_settings_as_yaml_writes_them() -> None:
    found = settle({"clip": "1e-1", "icr_terms": "encoder", "warmup_iterations": 20, "lr0": 3}, DetrSettings())
    assert (found.clip, found.icr_terms, found.warmup_iterations) == (0.1, ("encoder",), 20)
    assert set(KEYS) == {"icr_terms", "vfl_alpha", "vfl_gamma", "giou_gain", "clip", "warmup_iterations"}
