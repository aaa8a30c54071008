"""The ICR loss: its forms by hand and by loop, what flows where, masks, weights, controls."""

from __future__ import annotations

import naive_losses
import pytest
import torch
from plate_boxes import plates
from torch import Tensor

from icr import ICRLoss, box_loss, containment, icr_loss
from icr.errors import InputError
from icr.losses import FORM_NAMES, icr_terms, pseudo_parent

FORMS = ("product", "sum", "power", "step")


def gradient(loss: Tensor, pred: Tensor) -> Tensor:
    (result,) = torch.autograd.grad(loss.sum(), pred)
    return result


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("form", "loss"),
    [
        # the child 25..35 is half outside its parent 0..30, and apart from its target: L = 1, R = 0.5, weight 2.5
        ("product", 1 * (1 + 2.5 * 0.5)),
        ("sum", 1 + 2.5 * 0.5),
        ("power", 2.5**0.5),
        ("step", 2.5),
        ("detached", 2.25),
        ("matched", 2.5),
        ("permuted", 2.25),  # one child: its factor comes back to it
    ],
)
def test_forms_by_hand(form: str, loss: float) -> None:
    pred, target = torch.tensor([[25.0, 10.0, 35.0, 14.0]]), torch.tensor([[5.0, 10.0, 15.0, 14.0]])
    vehicle = torch.tensor([[0.0, 0.0, 30.0, 30.0]])
    found = icr_loss(pred, target, vehicle, base="iou", form=form, generator=generator())
    assert found.item() == pytest.approx(loss)


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("base", ["ciou", "giou", "siou"])
@pytest.mark.parametrize("form", FORMS)
def test_forms_equal_their_naive_loop(form: str, base: str, weight: float) -> None:
    boxes = plates(200)
    expected = [
        naive_losses.relational(form, naive_losses.LOSSES[base](p, t), naive_losses.containment(p, v), weight)
        for p, t, v in zip(*(each.tolist() for each in boxes), strict=True)
    ]
    found = icr_loss(*boxes, base=base, form=form, weight=weight)
    torch.testing.assert_close(found.tolist(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("form", ["product", "sum", "power"])
@pytest.mark.parametrize("base", ["giou", "diou", "eiou", "siou", "nwd"])
def test_gradient_is_that_of_the_value(base: str, form: str) -> None:
    pred, target, parent = plates(8, seed=5)
    assert torch.autograd.gradcheck(
        lambda boxes: icr_loss(boxes, target, parent, base=base, form=form), pred.requires_grad_(True)
    )


# matched weighs every child alike, wherever it is
@pytest.mark.parametrize("form", [form for form in FORM_NAMES if form != "matched"])
def test_inside_the_parent_nothing_changes(form: str) -> None:
    pred, target, _ = plates(50, dtype=torch.float32)
    everywhere = torch.tensor([-1e5, -1e5, 1e5, 1e5]).expand_as(pred)
    pred.requires_grad_(True)
    alone = box_loss(pred, target)
    related = icr_loss(pred, target, everywhere, form=form, generator=generator())
    assert torch.equal(related, alone)
    torch.testing.assert_close(gradient(related, pred), gradient(alone, pred), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", ["product", "sum", "power"])
def test_grows_as_the_box_leaves(form: str) -> None:
    # 30 wide, from inside the parent to wholly outside, so that R falls from 1 to 0
    start = torch.tensor([60.0, 40.0, 90.0, 50.0])
    parent = torch.tensor([0.0, 0.0, 100.0, 100.0]).expand(40, 4)
    pred = start + torch.linspace(10, 40, 40)[:, None] * torch.tensor([1.0, 0.0, 1.0, 0.0])
    terms = icr_terms(pred, start.expand(40, 4), parent, form=form)
    assert (terms.containment.diff() < 0).all()
    assert ((terms.loss - terms.base).diff() > 0).all()


def test_step_jumps_at_the_border() -> None:
    target, parent = torch.tensor([60.0, 40.0, 90.0, 50.0]), torch.tensor([0.0, 0.0, 100.0, 100.0])
    pred = target + torch.tensor([[9.0], [10.0], [10.5], [80.0]]) * torch.tensor([1.0, 0.0, 1.0, 0.0])
    terms = icr_terms(pred, target.expand(4, 4), parent.expand(4, 4), form="step")
    assert terms.factor.tolist() == [1.0, 1.0, 2.5, 2.5]


@pytest.mark.parametrize("form", FORMS)
def test_scale_and_place_do_not_matter(form: str) -> None:
    boxes = plates(100)
    loss = icr_loss(*boxes, form=form)
    torch.testing.assert_close(icr_loss(*(each * 0.001 for each in boxes), form=form), loss, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(icr_loss(*(each - 137.5 for each in boxes), form=form), loss, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("form", ["step", "detached", "matched", "permuted"])
def test_some_forms_only_weigh_the_base_gradient(form: str) -> None:
    pred, target, parent = plates(50)
    pred.requires_grad_(True)
    terms = icr_terms(pred, target, parent, form=form, generator=generator())
    weighed = terms.factor[:, None] * gradient(terms.base, pred)
    torch.testing.assert_close(
        gradient(icr_loss(pred, target, parent, form=form, generator=generator()), pred), weighed
    )


def test_product_pulls_a_box_without_overlap_back_into_its_parent() -> None:
    # plain IoU is 1 and flat here; ICR's gradient step (minus) moves the box left, towards the parent
    pred = torch.tensor([[25.0, 10.0, 35.0, 14.0]], requires_grad=True)
    target, vehicle = torch.tensor([[5.0, 10.0, 15.0, 14.0]]), torch.tensor([[0.0, 0.0, 30.0, 30.0]])
    assert gradient(box_loss(pred, target, "iou"), pred).abs().sum() == 0
    # d/dx1 2.5 (1 - R) with dR/dx1 = -0.05 and dR/dx2 = -0.05
    pulled = gradient(icr_loss(pred, target, vehicle, base="iou"), pred)
    torch.testing.assert_close(pulled, torch.tensor([[0.125, 0.0, 0.125, 0.0]]))


def test_parent_and_target_get_what_they_should() -> None:
    pred, target, parent = (each.requires_grad_(True) for each in plates(10))
    icr_loss(pred, target, parent, reduction="sum").backward()
    assert parent.grad is None
    assert pred.grad is not None and pred.grad.abs().sum() > 0


@pytest.mark.parametrize("form", FORM_NAMES)
def test_pairs_without_a_parent_keep_the_base_loss(form: str) -> None:
    pred, target, parent = plates(20)
    has_parent = torch.arange(20) % 3 == 0
    parent[~has_parent] = torch.nan  # whatever stands there
    pred.requires_grad_(True)
    loss = icr_loss(pred, target, parent, form=form, has_parent=has_parent, generator=generator())
    alone = box_loss(pred, target)
    assert torch.equal(loss[~has_parent], alone[~has_parent])
    assert torch.equal(gradient(loss, pred)[~has_parent], gradient(alone, pred)[~has_parent])
    assert (loss[has_parent] - alone[has_parent]).abs().sum() > 0


def test_weight_zero_is_the_base_loss_to_the_bit() -> None:
    pred, target, parent = plates(100, dtype=torch.float32)
    pred.requires_grad_(True)
    for form in ("product", "sum", "detached"):
        loss = icr_loss(pred, target, parent, weight=0.0, form=form)
        alone = box_loss(pred, target)
        assert torch.equal(loss, alone)
        assert torch.equal(gradient(loss, pred), gradient(alone, pred))


@pytest.mark.parametrize("form", FORM_NAMES)
def test_weight_by_pair(form: str) -> None:
    pred, target, parent = plates(12)
    weight = torch.linspace(0.5, 3, 12, dtype=torch.float64)
    together = icr_loss(pred, target, parent, weight=weight, form=form, generator=generator())
    assert together.shape == (12,)
    if form != "permuted":
        one_by_one = [icr_loss(*(each[i] for each in (pred, target, parent)), weight=float(weight[i]), form=form)
                      for i in range(12)]  # fmt: skip
        torch.testing.assert_close(together, torch.stack(one_by_one))


def test_one_parent_for_all() -> None:
    pred, target, _ = plates(5)
    vehicle = torch.tensor([250.0, 250.0, 350.0, 350.0], dtype=torch.float64)
    torch.testing.assert_close(icr_loss(pred, target, vehicle), icr_loss(pred, target, vehicle.expand(5, 4)))


def test_terms_say_what_the_loss_is_made_of() -> None:
    pred, target, parent = plates(50)
    has_parent = torch.arange(50) % 2 == 0
    terms = icr_terms(pred.requires_grad_(True), target, parent, has_parent=has_parent)
    assert torch.equal(terms.loss, icr_loss(pred, target, parent, has_parent=has_parent))
    assert torch.equal(terms.base, box_loss(pred, target))
    assert torch.equal(terms.containment[has_parent], containment(pred, parent).detach()[has_parent])
    assert (terms.containment[~has_parent] == 1).all() and (terms.factor[~has_parent] == 1).all()
    assert not terms.containment.requires_grad and not terms.factor.requires_grad
    torch.testing.assert_close(terms.factor[has_parent], 1 + 2.5 * (1 - terms.containment[has_parent]))


def test_permuted_deals_the_childrens_factors_among_the_children() -> None:
    pred, target, parent = plates(200)
    has_parent = torch.rand(200, generator=generator(7)) < 0.4
    own = icr_terms(pred, target, parent, has_parent=has_parent).factor[has_parent]
    dealt = icr_terms(pred, target, parent, form="permuted", has_parent=has_parent, generator=generator()).factor
    torch.testing.assert_close(dealt[has_parent].sort().values, own.sort().values)
    # a child inside its parent has factor 1, as many others; of the rest, nearly none keeps its own
    assert (dealt[has_parent] == own)[own > 1].float().mean() < 0.1
    assert (dealt[~has_parent] == 1).all()


def test_permuted_repeats_by_seed_and_leaves_the_global_state_alone() -> None:
    boxes = plates(50)
    state = torch.get_rng_state()
    losses = [icr_loss(*boxes, form="permuted", generator=generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(losses[0], losses[1]) and not torch.equal(losses[0], losses[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_pseudo_parent_has_the_size_and_holds_the_child() -> None:
    _, target, parent = plates(500)
    state = torch.get_rng_state()
    laid = pseudo_parent(target, parent, generator())
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(laid[:, 2:] - laid[:, :2], parent[:, 2:] - parent[:, :2])
    torch.testing.assert_close(containment(target, laid), torch.ones(500, dtype=torch.float64))
    # where it lies tells nothing of the parent: the child is anywhere in it, evenly
    place = (target[:, 0] - laid[:, 0]) / ((laid[:, 2] - laid[:, 0]) - (target[:, 2] - target[:, 0]))
    assert place.min() < 0.05 and place.max() > 0.95 and abs(place.mean() - 0.5) < 0.05


def test_pseudo_parent_shorter_than_the_child_lies_inside_it() -> None:
    child, parent = torch.tensor([[0.0, 0.0, 10.0, 4.0]]), torch.tensor([[0.0, 0.0, 6.0, 20.0]])
    laid = pseudo_parent(child.expand(100, 4), parent.expand(100, 4), generator())
    assert (laid[:, 0] >= 0).all() and (laid[:, 2] <= 10).all()


def test_module_is_the_function() -> None:
    boxes = plates(20)
    has_parent = torch.arange(20) % 2 == 0
    criterion = ICRLoss(base="giou", weight=1.5, form="sum", reduction="sum")
    expected = icr_loss(*boxes, base="giou", weight=1.5, form="sum", has_parent=has_parent, reduction="sum")
    assert torch.equal(criterion(*boxes, has_parent), expected)
    assert ICRLoss()(*boxes).item() == pytest.approx(icr_loss(*boxes).mean().item())
    assert not list(criterion.parameters()) and not criterion.state_dict()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"form": "products"}, r"unknown form 'products'; known: product, .*did you mean 'product'"),
        ({"base": "cuio"}, r"unknown base loss 'cuio'"),
        ({"weight": -1.0}, r"weight -1.0: expected a number that is 0 or more"),
        ({"weight": float("nan")}, r"weight nan"),
        ({"weight": float("inf")}, r"weight inf"),
        ({"reduction": "avg"}, r"unknown reduction 'avg'"),
        ({"form": "permuted"}, r"needs generator"),
        ({"base": None}, r"base loss is None; expected a name such as 'ciou'"),
        ({"weight": "2"}, r"weight '2': expected a number"),
        ({"weight": None}, r"weight None: expected a number"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], said: str) -> None:
    boxes = plates(2)
    with pytest.raises(InputError, match=said):
        icr_loss(*boxes, **settings)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=said):
        ICRLoss(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["pred", "target", "parent", "has_parent"])
def test_lists_in_place_of_tensors_are_refused(name: str) -> None:
    pred, target, parent = plates(2)
    given: dict[str, object] = {
        "pred": pred,
        "target": target,
        "parent": parent,
        "has_parent": torch.tensor([True, False]),
    }
    given[name] = given[name].tolist()  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=f"^{name} is a list; expected a tensor of") as refused:
        icr_loss(**given)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_has_parent_of_numbers_is_refused() -> None:
    with pytest.raises(InputError, match=r"has_parent is a torch.int64 tensor; expected a tensor of bool"):
        icr_loss(*plates(2), has_parent=torch.tensor([1, 0]))
