"""ICR in the box term of Transformers' detectors: equal to upstream without it, and what it does with it."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch
from tiny_detrs import KINDS, PICTURES, labels, rtdetr, shaken, step
from torch import Tensor
from transformers.image_transforms import center_to_corners_format
from transformers.loss.loss_for_object_detection import generalized_box_iou
from transformers.loss.loss_rt_detr import RTDetrForObjectDetectionLoss

from icr.errors import InputError
from icr.losses import box_loss
from icr.relations import Relation
from icr.transformers import loss_function
from icr.transformers.loss import LossFunction
from icr.transformers.precision import InFullPrecision

LOGGED = {"icr_pairs", "icr_containment", "icr_factor"}
APART = [[1, -1], [2, -1, -1], []]
"""Parents as stated: the second plate is given the far vehicle, so that it lies wholly outside its parent."""


def changed(before: Any, after: Any) -> set[str]:
    """Names of the terms that differ."""
    return {name for name, value in after.loss_dict.items() if name not in LOGGED and value != before.loss_dict[name]}


@pytest.fixture(scope="module")
def detector() -> Any:
    return shaken("RT-DETRv2")


def with_icr(model: Any, targets: list[dict[str, Tensor]] | None = None, **settings: Any) -> Any:
    stock = model.__dict__.pop("_loss_function", None)
    model.loss_function = loss_function(model, "plate:vehicle", **settings)
    try:
        return step(model, targets)
    finally:
        del model._loss_function
        assert stock is None


@pytest.mark.parametrize("kind", KINDS)
def test_weight_0_is_upstreams_loss_in_all_terms_and_gradients(kind: str) -> None:
    model = shaken(kind)
    before = step(model)
    before.loss.backward()
    gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad(set_to_none=True)
    model.loss_function = loss_function(model, "0:1", weight=0.0)
    after = step(model)
    after.loss.backward()

    assert set(after.loss_dict) == set(before.loss_dict) | LOGGED
    for name, value in before.loss_dict.items():
        torch.testing.assert_close(after.loss_dict[name], value, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(after.loss, before.loss, rtol=1e-6, atol=1e-6)
    for name, each in model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(each.grad, gradients[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_icr_changes_the_iou_terms_and_no_others(kind: str) -> None:
    model = shaken(kind)
    before = step(model, labels(parent=APART))
    model.loss_function = loss_function(model, "0:1")
    after = step(model, labels(parent=APART))
    terms = {name for name in before.loss_dict if name.startswith("loss_giou")}
    assert changed(before, after) == terms
    assert after.loss > before.loss
    after.loss.backward()
    assert all(each.grad.isfinite().all() for each in model.parameters() if each.grad is not None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_paired_giou_is_the_diagonal_of_upstreams_matrix(dtype: torch.dtype) -> None:
    chance = torch.Generator().manual_seed(0)
    centres, sides = torch.rand(2, 1000, 2, 2, generator=chance, dtype=dtype).unbind(0)
    pred, target = torch.cat((centres, sides * 0.5 + 1e-3), -1).unbind(1)
    pred, target = center_to_corners_format(pred), center_to_corners_format(target)
    matrix = 1 - generalized_box_iou(pred, target).diag()
    assert (box_loss(pred, target, "giou") - matrix).abs().max() <= 1e-6


def test_which_loss_boxes_calls_icr_reaches(detector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    compute = LossFunction.box_term

    def spy(self: LossFunction, pred: Tensor, truth: Any, rows: Tensor, part: str) -> Tensor:
        calls.append(part)
        return compute(self, pred, truth, rows, part)

    monkeypatch.setattr(LossFunction, "box_term", spy)
    with_icr(detector)
    # three decoder layers, as R18 has
    assert calls == ["main", "auxiliary", "auxiliary", "encoder", "denoising", "denoising", "denoising"]


@pytest.mark.parametrize(
    ("part", "terms"),
    [
        ("main", {"loss_giou"}),
        ("auxiliary", {"loss_giou_aux_0", "loss_giou_aux_1"}),
        ("encoder", {"loss_giou_aux_2"}),
        ("denoising", {"loss_giou_dn_0", "loss_giou_dn_1", "loss_giou_dn_2"}),
    ],
)
def test_each_part_can_be_switched_off(detector: Any, part: str, terms: set[str]) -> None:
    targets = labels(parent=APART)
    on, off = with_icr(detector, targets), with_icr(detector, targets, **{part: False})
    assert changed(on, off) == terms
    assert off.loss_dict["icr_factor"] == (1 if part == "main" else on.loss_dict["icr_factor"])


def test_the_last_layers_term_is_the_formula_worked_out_in_a_loop(detector: Any) -> None:
    targets = labels()
    output = with_icr(detector, targets)
    model = rtdetr()
    from transformers.loss.loss_rt_detr import RTDetrHungarianMatcher

    queries = model.config.num_queries
    outputs = {"logits": output.logits[:, -queries:], "pred_boxes": output.pred_boxes[:, -queries:]}
    total, inside, factors = 0.0, [], []
    for picture, (query, truth) in enumerate(RTDetrHungarianMatcher(model.config)(outputs, targets)):
        for q, t in zip(query.tolist(), truth.tolist(), strict=True):
            boxes = targets[picture]["boxes"]
            x1, y1, x2, y2 = center_to_corners_format(outputs["pred_boxes"][picture, q].detach()).tolist()
            base = 1 - float(
                generalized_box_iou(torch.tensor([[x1, y1, x2, y2]]), center_to_corners_format(boxes[t : t + 1]))
            )
            factor = 1.0
            if targets[picture]["class_labels"][t] == 0:
                left, top, right, bottom = center_to_corners_format(boxes[1]).tolist()  # its vehicle comes second
                common = max(min(x2, right) - max(x1, left), 0) * max(min(y2, bottom) - max(y1, top), 0)
                inside.append(common / ((x2 - x1) * (y2 - y1)))
                factor = 1 + 2.5 * (1 - inside[-1])
                factors.append(factor)
            total += base * factor
    assert len(inside) == 2
    weight, boxes_in_all = 2.0, 5
    assert float(output.loss_dict["loss_giou"].detach()) == pytest.approx(weight * total / boxes_in_all, rel=1e-5)
    assert float(output.loss_dict["icr_containment"]) == pytest.approx(sum(inside) / 2, abs=1e-5)
    assert float(output.loss_dict["icr_factor"]) == pytest.approx(sum(factors) / 2, rel=1e-5)


def test_parents_are_those_stated_and_else_those_of_geometry(detector: Any) -> None:
    by_geometry = with_icr(detector)
    stated = with_icr(detector, labels(parent=[[1, -1], [1, -1, -1], []]))
    assert stated.loss == by_geometry.loss and by_geometry.loss_dict["icr_pairs"] == 2
    apart = with_icr(detector, labels(parent=APART))
    assert apart.loss_dict["loss_giou_dn_0"] > stated.loss_dict["loss_giou_dn_0"]
    orphans = with_icr(detector, labels(parent=[[-1, -1], [-1, -1, -1], []]))
    assert orphans.loss == step(detector).loss and orphans.loss_dict["icr_pairs"] == 0
    assert orphans.loss_dict["icr_containment"] == orphans.loss_dict["icr_factor"] == 1


@pytest.mark.parametrize(
    ("parents", "said"),
    [
        ([[1, -1, -1], [1, -1, -1], []], r"labels\[0\]\['parent'\] is torch.int64 of shape \(3,\)"),
        ([[1, -1], [3, -1, -1], []], r"labels\[1\]\['parent'\] holds \[3, -1, -1\]"),
    ],
)
def test_parents_that_do_not_fit_are_refused(detector: Any, parents: list[list[int]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        with_icr(detector, labels(parent=parents))


def test_parents_stated_for_some_pictures_only_are_refused(detector: Any) -> None:
    targets = labels(parent=APART)
    del targets[1]["parent"]
    with pytest.raises(InputError, match=r"labels\[1\] has no 'parent'"):
        with_icr(detector, targets)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_a_single_box(kind: str) -> None:
    model = shaken(kind)
    model.loss_function = loss_function(model, "0:1")
    empty = [labels()[2]] * 3
    output = step(model, empty)
    output.loss.backward()
    assert output.loss.isfinite() and output.loss_dict["icr_pairs"] == 0 and output.loss_dict["icr_factor"] == 1
    assert all(each.grad.isfinite().all() for each in model.parameters() if each.grad is not None)


@pytest.mark.parametrize("kind", ["RT-DETRv2", "RT-DETR", "D-FINE"])
def test_finite_gradients_under_bf16_autocast(kind: str) -> None:
    model = shaken(kind)
    model.loss_function = loss_function(model, "0:1")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = step(model, labels(parent=APART))
    output.loss.backward()
    assert output.loss.dtype == torch.float32 and output.loss.isfinite()
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    assert gradients and all(each.isfinite().all() for each in gradients)


def test_a_box_of_no_size_and_one_that_is_inverted_keep_the_term_finite(detector: Any) -> None:
    function = loss_function(detector, "plate:vehicle")
    truth = function.truth(labels())
    pred = torch.tensor([[0.1, 0.1, 0.0, 0.0], [0.1, 0.1, -0.1, 0.1]], requires_grad=True)
    function.box_term(pred, truth, torch.tensor([0, 0]), "main").sum().backward()
    assert pred.grad is not None and pred.grad.isfinite().all()


def test_the_gradient_of_the_term_is_that_of_finite_differences(detector: Any) -> None:
    function = loss_function(detector, "plate:vehicle", base="diou")
    targets = [{**each, "boxes": each["boxes"].double()} for each in labels()]
    truth = function.truth(targets)
    pred = torch.tensor([[0.14, 0.13, 0.21, 0.1], [0.7, 0.8, 0.1, 0.05]], dtype=torch.float64, requires_grad=True)
    rows = torch.tensor([0, 2])
    assert torch.autograd.gradcheck(lambda boxes: function.box_term(boxes, truth, rows, "main"), (pred,))


def test_it_can_be_copied_and_pickled_and_goes_on_alike(detector: Any) -> None:
    model = copy.deepcopy(detector)
    model.loss_function = loss_function(model, "plate:vehicle", form="permuted", pseudo_parent=True)
    twin = copy.deepcopy(model)
    third = copy.deepcopy(detector)
    third.loss_function = pickle.loads(pickle.dumps(model.loss_function))
    losses = [step(each, labels()).loss for each in (model, twin, third)]
    assert losses[0] == losses[1] == losses[2]
    assert twin.loss_function is not model.loss_function
    assert twin.loss_function.generator is not model.loss_function.generator


def test_what_it_saw_is_kept_for_whoever_trains(detector: Any) -> None:
    model = copy.deepcopy(detector)
    model.loss_function = loss_function(model, "plate:vehicle")
    output = step(model)
    seen = model.loss_function.seen
    assert (seen.pairs, seen.containment, seen.factor) == tuple(
        output.loss_dict[name] for name in ("icr_pairs", "icr_containment", "icr_factor")
    )
    assert not seen.factor.requires_grad
    terms = sum(value for name, value in output.loss_dict.items() if name not in LOGGED)
    assert output.loss == terms


def test_matched_takes_the_factor_of_its_epoch(detector: Any) -> None:
    model = copy.deepcopy(detector)
    model.loss_function = loss_function(model, "plate:vehicle", form="matched", factors=(2.0, 1.5))
    factors = []
    for epoch in range(3):
        model.loss_function.epoch = epoch
        factors.append(float(step(model).loss_dict["icr_factor"]))
    assert factors == pytest.approx([2.0, 1.5, 1.5])


def test_weight_none_leaves_each_relation_its_own(detector: Any) -> None:
    strong = loss_function(detector, Relation("plate", "vehicle", weight=4.0))
    assert strong.class_weight.tolist() == [4.0, 0.0]
    assert loss_function(detector, Relation("plate", "vehicle", weight=4.0), weight=1.0).class_weight[0] == 1.0
    assert loss_function(detector, "plate:vehicle").class_weight[0] == 2.5


def test_units_matter_to_bases_that_see_a_boxs_shape(detector: Any) -> None:
    def term(base: str, **settings: Any) -> Tensor:
        function = loss_function(detector, "plate:vehicle", base=base, **settings)
        truth = function.truth(labels())
        return function.box_term(torch.tensor([[0.2, 0.15, 0.1, 0.08]]), truth, torch.tensor([0]), "main")

    for base in ("giou", "iou"):
        torch.testing.assert_close(term(base), term(base, size=(320, 640)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(term("ciou"), term("ciou", size=640), rtol=1e-5, atol=1e-6)
    assert (term("ciou") - term("ciou", size=(320, 640))).abs() > 1e-3


def test_labels_may_carry_the_size_of_the_input(detector: Any) -> None:
    sized = [{**each, "size": torch.tensor([320, 640])} for each in labels()]
    stated = with_icr(detector, sized, base="ciou")
    told = with_icr(detector, base="ciou", size=(320, 640))
    assert stated.loss == told.loss != with_icr(detector, base="ciou").loss


def test_nwd_needs_pixels(detector: Any) -> None:
    with pytest.raises(InputError, match="size=640"):
        with_icr(detector, base="nwd")
    assert with_icr(detector, base="nwd", size=64).loss.isfinite()


def test_the_mean_number_of_boxes_over_ranks_normalises_where_asked(
    detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = with_icr(detector)
    assert with_icr(detector, average_boxes=True).loss == alone.loss
    monkeypatch.setattr("icr.transformers.loss.world_mean", lambda count, device: 2.0 * count)
    halved = with_icr(detector, average_boxes=True)
    for name in ("loss_vfl", "loss_bbox_aux_1", "loss_giou_dn_2"):
        torch.testing.assert_close(halved.loss_dict[name], alone.loss_dict[name] / 2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base": "gouı"}, "giou"),
        ({"form": "produkt"}, "did you mean 'product'"),
        ({"weight": -1.0}, "weight -1.0"),
        ({"relations": "plate:vehikle"}, "did you mean 'vehicle'"),
        ({"relations": []}, "no relation is given"),
    ],
)
def test_settings_that_cannot_be_used(detector: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        loss_function(detector, **{"relations": "plate:vehicle", **settings})
    assert "\n" not in str(refusal.value)


def test_another_kind_of_model_is_refused() -> None:
    from transformers import DetrConfig, RTDetrResNetConfig

    class Detr:
        config = DetrConfig(use_timm_backbone=False, backbone_config=RTDetrResNetConfig())

    with pytest.raises(InputError, match=r"model type 'detr'.*rt_detr_v2"):
        loss_function(Detr(), "0:1")


def test_what_wraps_a_detector_is_refused(detector: Any) -> None:
    with pytest.raises(InputError, match="the detector itself"):
        loss_function(torch.nn.Sequential(detector), "plate:vehicle")


def test_an_old_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icr.transformers.version", lambda name: "5.17.1")
    with pytest.raises(InputError, match=r"transformers 5\.17\.1 is too old: before 5\.18"):
        _ = __import__("icr.transformers").transformers.loss_function


def test_a_change_of_upstream_that_would_switch_icr_off_is_an_error() -> None:
    from icr.transformers.criterion import rebound

    with pytest.raises(RuntimeError, match="no longer uses NoSuchLoss"):
        rebound(test_an_old_release_is_refused, {"NoSuchLoss": None})


def test_a_loop_of_ones_own_learns() -> None:
    torch.manual_seed(0)
    model = rtdetr()
    model.loss_function = loss_function(model, "plate:vehicle")
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        output = model(pixel_values=PICTURES, labels=labels())
        optimiser.zero_grad()
        output.loss.backward()
        optimiser.step()
        losses.append(float(output.loss.detach()))
    assert min(losses[-3:]) < 0.8 * losses[0]


def test_a_saved_and_loaded_model_has_the_stock_loss_until_it_is_set_anew(detector: Any, tmp_path: Path) -> None:
    model = copy.deepcopy(detector)
    model.loss_function = loss_function(model, "plate:vehicle")
    loss = step(model, labels(parent=APART)).loss
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path).train()
    assert loaded.loss_function is RTDetrForObjectDetectionLoss
    loaded.loss_function = loss_function(loaded, "plate:vehicle")
    torch.testing.assert_close(step(loaded, labels(parent=APART)).loss, loss)


def test_the_name_of_a_subclass_does_not_matter(detector: Any) -> None:
    class Renamed(type(detector)):  # type: ignore[misc]
        """Transformers takes a class of such a name for a language model."""

    model = Renamed(detector.config).train()
    assert model.loss_function is not RTDetrForObjectDetectionLoss
    model.loss_function = loss_function(model, "plate:vehicle")
    assert {"loss_giou", "loss_vfl_dn_2", "icr_factor"} <= set(step(model).loss_dict)


def test_config_loss_type_changes_nothing(detector: Any) -> None:
    config = copy.deepcopy(detector.config)
    config.loss_type = "ForObjectDetection"
    assert type(detector)(config).loss_function is RTDetrForObjectDetectionLoss


@pytest.mark.slow
def test_a_compiled_model_keeps_the_loss(detector: Any) -> None:
    model = copy.deepcopy(detector)
    model.loss_function = loss_function(model, "plate:vehicle")
    eager = step(model, labels(parent=APART))
    torch._dynamo.reset()
    compiled = step(torch.compile(model, backend="eager"), labels(parent=APART))
    torch.testing.assert_close(compiled.loss, eager.loss)
    assert compiled.loss_dict["icr_factor"] == eager.loss_dict["icr_factor"] > 1


RANK = """
import sys
sys.path.insert(0, sys.argv[3])
import torch
from tiny_detrs import labels, shaken, step
from icr.transformers import loss_function
torch.set_num_threads(1)
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
model = shaken("RT-DETRv2")
targets = labels() if rank == 0 else [labels()[2]] * 3
terms = []
for average in (False, True):
    model.loss_function = loss_function(model, "plate:vehicle", average_boxes=average)
    terms.append(step(model, targets).loss_dict["loss_bbox"].item())
print(*terms)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_ranks_of_which_one_has_no_box(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path / "store"), here], stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    (alone, averaged), empty = ([float(each) for each in rank.communicate()[0].split()] for rank in ranks)
    # five boxes on one rank and none on the other: 2.5 on average
    assert averaged == pytest.approx(2 * alone) and empty == [0, 0]


def test_the_example_of_the_page_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "transformers.md"
    code = re.search(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    space: dict[str, Any] = {}
    exec(code[1], space)
    assert space["output"].loss.isfinite() and capsys.readouterr().out.startswith("tensor(1)")


@pytest.mark.parametrize("icr", [True, False])
def test_in_full_precision_the_surest_prediction_is_matched_though_float16_made_it_1(icr: bool) -> None:
    """In half precision Transformers' matcher has an infinite cost there, which it takes for the worst."""
    torch.manual_seed(0)
    model = rtdetr(auxiliary_loss=False)
    own = loss_function(model, "plate:vehicle") if icr else model.loss_function
    truth = labels()[:1]
    boxes = torch.rand(1, 12, 4) * 0.1 + 0.4
    boxes[0, 3:5] = truth[0]["boxes"]
    logits = torch.full((1, 12, 2), -4.0)
    logits[0, 3, 0] = logits[0, 4, 1] = 10.0  # both where they belong, and 1 - 0.99995 is 0 in float16
    given = {"device": logits.device, "config": model.config}

    def call(function: Any, kind: torch.dtype) -> tuple[torch.dtype, float]:
        loss, terms, _ = function(logits.to(kind), truth, pred_boxes=boxes, **given)
        return loss.dtype, float(terms["loss_bbox"])

    assert call(own, torch.float32)[1] < 1e-6 < 0.1 < call(own, torch.float16)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert call(InFullPrecision(own), torch.float16) == call(own, torch.float32)


def test_in_full_precision_no_operation_is_cast() -> None:
    seen: list[tuple[bool, torch.dtype]] = []

    def loss(logits: Tensor, labels: list[dict[str, Tensor]], **others: Any) -> tuple[Tensor, dict[str, Tensor], None]:
        seen.append((torch.is_autocast_enabled("cpu"), (logits @ others["outputs_coord"][0].T).dtype))
        return logits.sum(), {}, None

    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = torch.ones(2, 2) @ torch.ones(2, 2)
        InFullPrecision(loss)(logits=half, labels=[], outputs_coord=[half])
    assert half.dtype == torch.bfloat16 and seen == [(False, torch.float32)]
