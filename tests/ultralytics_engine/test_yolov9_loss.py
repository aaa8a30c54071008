# SPDX-License-Identifier: AGPL-3.0-only
"""The criterion of two branches: their sum, an assignment each, ICR in both, and tiny boxes left as they are."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss
from yolov9_nets import PLATE, batch, net

from icr.ultralytics.loss import COLUMNS, DetectionLoss, branches, related, settle_assigners
from icr.ultralytics.settings import BoxLoss
from icr.ultralytics.yolov9.loss import DualLoss
from icr.ultralytics.yolov9.model import YOLOv9


def step(model: YOLOv9) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    loss, items = model(batch())
    loss.sum().backward()
    gradients = [each.grad.flatten() for each in model.parameters() if each.grad is not None]
    return loss.detach(), items, torch.cat(gradients)


def test_the_total_is_the_main_branch_and_a_quarter_of_the_auxiliary_one() -> None:
    model, data = net(weight=None), batch()
    preds = model(data["img"])
    total, items = DualLoss(model)(preds, data)
    stock = settle_assigners(v8DetectionLoss(model), enlarge_tiny=True)
    main, main_items = stock.loss(preds, data)
    auxiliary, _ = stock.loss(preds["aux"], data)
    torch.testing.assert_close(total, main + 0.25 * auxiliary)
    assert items == main_items and float(auxiliary.detach().sum()) > 0


def test_gains_and_candidates_are_the_originals() -> None:
    criterion = net(weight=None).init_criterion()
    assert [type(each) for each in branches(criterion)] == [v8DetectionLoss] * 2
    for each in branches(criterion):
        assert (each.hyp.box, each.hyp.cls, each.hyp.dfl, each.reg_max) == (7.5, 0.5, 1.5, 16)
        assert (each.assigner.topk, each.assigner.topk2, each.assigner.alpha, each.assigner.beta) == (10, 10, 0.5, 6.0)


def test_without_a_weight_it_is_ultralytics_own_loss_to_the_bit() -> None:
    loss, items, gradient = step(net(weight=0.0))
    stock_loss, stock_items, stock_gradient = step(net(weight=None))
    assert torch.equal(loss, stock_loss) and torch.equal(gradient, stock_gradient)
    assert all(torch.equal(items[name], value) for name, value in stock_items.items())


def test_a_step_with_icr_differs() -> None:
    loss, items, gradient = step(net())
    stock_loss, stock_items, stock_gradient = step(net(weight=None))
    assert float(loss[0]) > 1.05 * float(stock_loss[0]) and float(items["box_loss"]) > float(stock_items["box_loss"])
    assert torch.equal(loss[1:], stock_loss[1:]), "class and DFL terms stay"
    assert float((gradient - stock_gradient).norm() / stock_gradient.norm()) > 0.01
    assert float(items["icr_pairs"]) == 2 and float(items["icr_factor"]) > 1


def test_icr_reaches_both_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, float]] = []
    original = BoxLoss.terms

    def seen(self: BoxLoss, pred: Tensor, *args: Any, **kwargs: Any) -> Any:
        terms = original(self, pred, *args, **kwargs)
        calls.append((len(pred), float((terms.loss - terms.base).detach().sum())))
        return terms

    monkeypatch.setattr(BoxLoss, "terms", seen)
    model = net()
    model(batch())
    assert len(calls) == 2 and all(anchors > 0 and added > 0 for anchors, added in calls)
    assert calls[0] != calls[1], "each branch has boxes and an assignment of its own"
    assert [type(each) for each in branches(model.criterion)] == [DetectionLoss] * 2
    model.eval()(batch())
    assert len(calls) == 3, "validation has the main branch alone"


@pytest.mark.parametrize("branch", ["cv2", "aux_head"])
def test_the_weight_changes_the_gradient_of_either_head(branch: str) -> None:
    def gradient(weight: float | None) -> Tensor:
        model = net(weight=weight)
        step(model)
        head = model.aux_head if branch == "aux_head" else model.model[-1]
        return torch.cat([each[0].conv.weight.grad.flatten() for each in head.cv2])

    assert not torch.equal(gradient(2.5), gradient(0.0))


def test_each_branch_is_assigned_by_its_own_predictions() -> None:
    model, data = net(), batch()
    criterion = model.init_criterion()
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda module, inputs, output: seen.__setitem__(name, output[4] * 2 + output[3])

    criterion.main.assigner.register_forward_hook(keep("main"))
    criterion.auxiliary.assigner.register_forward_hook(keep("auxiliary"))
    preds = model(data["img"])
    criterion(preds, data)
    main, auxiliary = seen["main"], seen["auxiliary"]
    torch.manual_seed(3)
    other = {**preds, "aux": {**preds["aux"], "scores": torch.randn_like(preds["aux"]["scores"]) * 5}}
    criterion(other, data)
    assert torch.equal(seen["main"], main) and not torch.equal(seen["auxiliary"], auxiliary)


def test_training_and_validation_report_the_same_items() -> None:
    model = net()
    training = model(batch())[1]
    validation = model.eval()(batch())[1]
    assert list(training) == list(validation) == ["box_loss", "cls_loss", "dfl_loss", *COLUMNS]
    assert all(isinstance(value, Tensor) for value in training.values())


def test_a_copy_has_a_criterion_of_its_own() -> None:
    model = net()
    model(batch())
    twin = copy.deepcopy(model)
    hooked = [hook.__self__ for each in twin.criterion.branches for hook in each.bbox_loss._forward_hooks.values()]
    assert hooked == list(twin.criterion.branches) and float(twin(batch())[1]["icr_pairs"]) == 2


def test_gradients_are_finite_in_bfloat16() -> None:
    model = net()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = model(batch())
    loss.sum().backward()
    assert loss.dtype == torch.float32 and bool(loss.isfinite().all())
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    assert len(gradients) > 100 and all(bool(each.isfinite().all()) for each in gradients)


@pytest.mark.slow
def test_a_traced_model_gives_the_same_loss_and_gradients() -> None:
    """The way of `compile=True`: both branches in one graph without a break, the loss outside of it."""
    traced, plain, data = net(), net(), batch()
    preds = torch.compile(traced, backend="eager", fullgraph=True)(data["img"])
    loss, items = traced.loss(data, preds)
    loss.sum().backward()
    expected, *_, gradient = step(plain)
    assert torch.equal(loss.detach(), expected) and float(items["icr_pairs"]) == 2
    assert torch.equal(
        torch.cat([each.grad.flatten() for each in traced.parameters() if each.grad is not None]), gradient
    )


def candidates(criterion: Any, side: float) -> list[int]:
    """How many places at stride 8, 16 and 32 of a 64 px square may be assigned to a box of that side at its centre."""
    half = side / 2
    box = torch.tensor([[[33 - half, 33 - half, 33 + half, 33 + half]]])
    found = []
    for stride in (8, 16, 32):
        at = torch.arange(stride / 2, 64, stride)
        centres = torch.cartesian_prod(at, at)
        inside = branches(criterion)[-1].assigner.select_candidates_in_gts(centres, box, torch.ones(1, 1, 1))
        found.append(int(inside.sum()))
    return found


def test_tiny_boxes_are_enlarged_only_where_it_is_asked_for(nets: Any) -> None:
    model = net()
    assert not model.enlarge_tiny and candidates(model.init_criterion(), 6.0) == [0, 0, 0]
    model.enlarge_tiny = True
    assert candidates(model.init_criterion(), 6.0) == [4, 1, 0]
    box = BoxLoss("ciou", "product", PLATE)
    for plan, branch in ((nets.plain, DetectionLoss), (nets.end2end, E2ELoss)):
        for enlarge, expected in ((True, [4, 1, 0]), (False, [0, 0, 0])):
            own = DetectionModel(str(plan), nc=2, verbose=False)
            own.args = model.args
            for criterion in (
                related(own, box, enlarge).init_criterion(),
                related(own, None, enlarge).init_criterion(),
            ):
                for each in branches(criterion):
                    assert candidates(each, 6.0) == expected
            assert isinstance(related(own, box, enlarge).init_criterion(), branch)


def test_boxes_that_are_not_tiny_have_the_same_candidates() -> None:
    model = net()
    off = candidates(model.init_criterion(), 30.0)
    model.enlarge_tiny = True
    assert candidates(model.init_criterion(), 30.0) == off == [16, 4, 0]
