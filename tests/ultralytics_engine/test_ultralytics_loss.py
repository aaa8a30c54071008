# SPDX-License-Identifier: AGPL-3.0-only
"""The criterion: Ultralytics' loss with the box term of ICR, against a plain loop over anchors."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_scenes import batch
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss

import icr
from icr.relations import ResolvedRelation
from icr.ultralytics.dataset import PARENT
from icr.ultralytics.loss import COLUMNS, DetectionLoss, RelatedModel, related, stock_form
from icr.ultralytics.settings import BoxLoss

RELATION = (ResolvedRelation(0, (1,), 2.5),)


def model(net: Any, base: Any = "ciou", form: str = "product", relations: Any = RELATION) -> RelatedModel:
    torch.manual_seed(0)
    made = DetectionModel(str(net), ch=3, nc=2, verbose=False)
    made.args = get_cfg(overrides={"epochs": 2})
    head = made.model[-1]
    if head.reg_max > 1:
        # Boxes of about two cells each way, so that they overlap the small ones and weigh something.
        for branch in head.cv2:
            branch[-1].bias.data = (-((torch.arange(16.0) - 1) ** 2)).repeat(4)
    return related(made, BoxLoss(base, form, relations))


def assigned(criterion: DetectionLoss, preds: dict[str, torch.Tensor], of: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What the box loss is given, seen by hooks of the test's own on a stock criterion."""
    seen: dict[str, torch.Tensor] = {}

    def keep_box(module: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        names = ("dist", "pred", "points", "target", "scores", "sum", "foreground", "imgsz", "stride")
        seen.update(zip(names, inputs, strict=True))
        seen["iou_loss"] = output[0]

    def keep_assignment(module: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        seen["boxes"], seen["row"] = inputs[4], output[4]

    hooks = [
        criterion.assigner.register_forward_hook(keep_assignment),
        criterion.bbox_loss.register_forward_hook(keep_box),
    ]
    criterion.loss(preds, of)
    for hook in hooks:
        hook.remove()
    return seen


def by_loop(seen: dict[str, torch.Tensor], base: str, form: str, weight: float) -> torch.Tensor:
    """The box term, anchor by anchor; pairs of `batch` by slot: 0 in 1 of picture 0, 1 in 0 of picture 1."""
    parents = {(0, 0): 1, (1, 1): 0}
    total = torch.zeros(())
    for picture, anchor in seen["foreground"].nonzero().tolist():
        stride = seen["stride"][anchor]
        pred, target = seen["pred"][picture, anchor] * stride, seen["target"][picture, anchor] * stride
        share = seen["scores"][picture, anchor].sum()
        slot = int(seen["row"][picture, anchor])
        if (picture, slot) in parents:
            parent = seen["boxes"][picture, parents[picture, slot]]
            loss = icr.icr_loss(pred, target, parent, base=base, weight=weight, form=form)
        else:
            loss = icr.box_loss(pred, target, base=base)
        total = total + loss * share
    return total / seen["sum"]


@pytest.mark.parametrize(("base", "form"), [("ciou", "product"), ("giou", "product"), ("ciou", "sum"), ("nwd", "step")])
def test_box_term_equals_a_loop_over_anchors(nets: SimpleNamespace, base: str, form: str) -> None:
    detector, data = model(nets.plain, base, form), batch()
    preds = detector(data["img"])
    stock = v8DetectionLoss(detector)
    seen = assigned(stock, preds, data)
    expected = by_loop(seen, base, form, 2.5) * stock.hyp.box
    _, items = DetectionLoss(detector).loss(preds, data)
    assert float(items["box_loss"]) == pytest.approx(float(expected), rel=1e-4)
    if base == "ciou":
        assert float(items["box_loss"]) > float(seen["iou_loss"] * stock.hyp.box) * 1.0001


def test_report_equals_a_loop_over_anchors(nets: SimpleNamespace) -> None:
    detector, data = model(nets.plain), batch()
    preds = detector(data["img"])
    seen = assigned(v8DetectionLoss(detector), preds, data)
    inside = []
    for picture, anchor in seen["foreground"].nonzero().tolist():
        slot = int(seen["row"][picture, anchor])
        if (picture, slot) in {(0, 0): 1, (1, 1): 0}:
            parent = seen["boxes"][picture, {(0, 0): 1, (1, 1): 0}[picture, slot]]
            inside.append(float(icr.containment(seen["pred"][picture, anchor] * seen["stride"][anchor], parent)))
    _, items = DetectionLoss(detector).loss(preds, data)
    mean = sum(inside) / len(inside)
    assert float(items["icr_pairs"]) == 2
    assert float(items["icr_containment"]) == pytest.approx(mean, abs=1e-5)
    assert float(items["icr_factor"]) == pytest.approx(1 + 2.5 * (1 - mean), abs=1e-4)


def test_weight_0_changes_neither_value_nor_gradient(nets: SimpleNamespace) -> None:
    data, gradients, losses = batch(), [], []
    for kind in (v8DetectionLoss, DetectionLoss):
        detector = model(nets.plain, relations=(ResolvedRelation(0, (1,), 0.0),))
        loss, _ = kind(detector).loss(detector(data["img"]), data)
        loss.sum().backward()
        losses.append(loss.detach())
        gradients.append(torch.cat([each.grad.flatten() for each in detector.parameters() if each.grad is not None]))
    assert torch.equal(*losses) and torch.equal(*gradients)


def test_each_relation_has_its_own_weight(nets: SimpleNamespace) -> None:
    data = batch()
    losses = []
    for weight in (0.0, 1.0, 2.0):
        detector = model(nets.plain, relations=(ResolvedRelation(0, (1,), weight),))
        losses.append(float(DetectionLoss(detector).loss(detector(data["img"]), data)[1]["box_loss"]))
    assert losses[0] < losses[1] < losses[2]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)


def test_both_branches_of_an_end_to_end_head_are_altered(nets: SimpleNamespace) -> None:
    detector, data = model(nets.end2end), batch()
    criterion = detector.init_criterion()
    assert isinstance(criterion, E2ELoss)
    preds = detector(data["img"])
    stock = E2ELoss(detector)
    for branch in ("one2many", "one2one"):
        ours, theirs = getattr(criterion, branch), getattr(stock, branch)
        assert type(ours) is DetectionLoss
        with_icr, without = ours.loss(preds[branch], data)[1], theirs.loss(preds[branch], data)[1]
        assert float(with_icr["box_loss"]) > float(without["box_loss"])
        assert {key: with_icr[key] for key in without if key != "box_loss"} == {
            key: without[key] for key in without if key != "box_loss"
        }


def test_class_and_dfl_terms_are_untouched(nets: SimpleNamespace) -> None:
    detector, data = model(nets.plain), batch()
    preds = detector(data["img"])
    ours, theirs = DetectionLoss(detector).loss(preds, data)[1], v8DetectionLoss(detector).loss(preds, data)[1]
    assert torch.equal(ours["cls_loss"], theirs["cls_loss"]) and torch.equal(ours["dfl_loss"], theirs["dfl_loss"])


def test_half_precision_is_widened(nets: SimpleNamespace) -> None:
    detector, data = model(nets.plain), batch()
    preds = detector(data["img"])
    exact = DetectionLoss(detector).loss(preds, data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = {key: [f.bfloat16() for f in v] if key == "feats" else v.bfloat16() for key, v in preds.items()}
        loss, items = DetectionLoss(detector).loss(narrow, data)
    assert loss.dtype == torch.float32 and bool(loss.isfinite().all())
    assert float(items["box_loss"]) == pytest.approx(float(exact[1]["box_loss"]), rel=0.05)


def test_no_boxes_and_no_pairs(nets: SimpleNamespace) -> None:
    detector, data = model(nets.plain), batch()
    criterion = DetectionLoss(detector)
    nothing = {key: data[key][:0] for key in ("batch_idx", "cls", "bboxes", PARENT)} | {"img": data["img"]}
    loss, items = criterion.loss(detector(data["img"]), nothing)
    loss.sum().backward()
    assert [float(items[name]) for name in COLUMNS] == [0.0, 1.0, 1.0]
    criterion.loss(detector(data["img"]), data)
    alone = {**data, PARENT: torch.full_like(data[PARENT], -1)}
    after = criterion.loss(detector(data["img"]), alone)[1]
    stock = v8DetectionLoss(detector).loss(detector(data["img"]), alone)[1]
    assert torch.equal(after["box_loss"], stock["box_loss"])
    # The means repeat the batch before, so that a batch without a pair does not pull them.
    assert float(after["icr_pairs"]) == 0 and float(after["icr_factor"]) > 1


def test_batches_without_ids_are_paired_by_geometry(nets: SimpleNamespace) -> None:
    detector, data = model(nets.plain), batch()
    preds = detector(data["img"])
    without = {key: value for key, value in data.items() if key != PARENT}
    items = DetectionLoss(detector).loss(preds, without)[1]
    # Only the first plate lies at least half in a vehicle; the other picture's is outside by more than half.
    whole = icr.match_parents(
        torch.tensor([[55 - 12.5, 17, 55 + 12.5, 33], [20, 20, 80, 80]]), torch.tensor([0, 1]), RELATION
    )
    assert float(items["icr_pairs"]) == 1 + float(whole[0] >= 0)


def test_a_callable_base_replaces_the_term(nets: SimpleNamespace) -> None:
    def half(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return 0.5 * icr.box_loss(pred, target, base="giou")

    data = batch()
    items = []
    for base in (half, "giou"):
        detector = model(nets.plain, base=base)
        items.append(float(DetectionLoss(detector).loss(detector(data["img"]), data)[1]["box_loss"]))
    assert items[0] == pytest.approx(items[1] / 2, rel=1e-5)


def test_the_permuted_control_leaves_the_global_random_state(nets: SimpleNamespace) -> None:
    detector, data = model(nets.plain, form="permuted"), batch()
    preds = detector(data["img"])
    before = torch.get_rng_state()
    loss, _ = DetectionLoss(detector).loss(preds, data)
    assert torch.equal(before, torch.get_rng_state()) and bool(loss.isfinite().all())


def test_a_copy_of_the_model_uses_its_own_criterion(nets: SimpleNamespace) -> None:
    detector, data = model(nets.plain), batch()
    detector(data)
    twin = copy.deepcopy(detector)
    seen = twin.criterion.bbox_loss._forward_hooks
    assert [hook.__self__ for hook in seen.values()] == [twin.criterion]
    assert twin(data)[1]["icr_pairs"] == 2


def test_stock_form_is_plain_ultralytics_and_is_undone(nets: SimpleNamespace) -> None:
    detector = model(nets.plain)
    with stock_form(detector):
        assert type(detector) is DetectionModel and not hasattr(detector, "icr")
        assert detector.icr_record == {"base": "ciou", "form": "product", "relations": [[0, [1], 2.5]]}
    assert type(detector) is RelatedModel and detector.icr.relations == RELATION
