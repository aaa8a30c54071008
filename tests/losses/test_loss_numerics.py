"""Whatever the boxes, dtype or batch: finite values, finite gradients, a connected graph."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plate_boxes import plates
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from icr import box_loss, containment, icr_loss
from icr.losses import FORM_NAMES, names

BASES = (*names(), "inner-ciou", "focaler-inner-siou")
FORMS = [form for form in FORM_NAMES if form != "permuted"]

SPECIAL = (
    0.0,
    1e-8,
    -1e-8,
    1e-30,
    1e-45,
    0.1,
    1.0,
    100.0,
    100.00001,
    639.5,
    1e6,
    -1e6,
    999_999.94,
    3e38,
    -3e38,
    math.inf,
)
coordinates = st.one_of(st.sampled_from(SPECIAL), st.floats(-1e6, 1e6, width=32))
corner_boxes = st.tuples(coordinates, coordinates, coordinates, coordinates)
thin_boxes = st.builds(
    lambda x, y, w, h: (x, y, x + w, y + h),
    st.floats(-1e6, 1e6, width=32),
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from((0.0, 1e-12, 1e-8, 1e-3, 1.0, 1e6)),
    st.sampled_from((0.0, 1e-12, 1e-8, 1e-3, 1.0, 1e6)),
)
tiny_boxes = st.builds(
    lambda x, y, w, h: (x, y, x + w, y + h),
    *[st.sampled_from((0.0, 1e-13, 1e-12, 1e-8, 1e-6, 1e-4))] * 4,
)
any_box = st.one_of(corner_boxes, thin_boxes, tiny_boxes)


@settings(max_examples=150, deadline=None)
@given(
    boxes=st.lists(st.tuples(any_box, any_box, any_box), min_size=1, max_size=8),
    base=st.sampled_from(BASES),
    form=st.sampled_from(FORMS),
    dtype=st.sampled_from((torch.float32, torch.float64)),
)
def test_everything_is_finite(
    boxes: list[tuple[tuple[float, ...], ...]], base: str, form: str, dtype: torch.dtype
) -> None:
    pred, target, parent = torch.tensor(boxes, dtype=torch.float64).to(dtype).unbind(1)
    pred = pred.clone().requires_grad_(True)
    loss = icr_loss(pred, target, parent, base=base, form=form)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert loss.isfinite().all(), loss
    assert gradient.isfinite().all(), gradient
    inside = containment(pred, parent)
    assert ((inside >= 0) & (inside <= 1)).all(), inside


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("pred", "target"),
    [
        ((5, 5, 5, 5), (5, 5, 5, 5)),  # both without area, in one place
        ((5, 5, 5, 5), (9, 2, 9, 2)),  # both without area, apart
        ((0, 5, 1e6, 5), (2, 7, 8, 7)),  # both without height
        ((0, 5, 8, 5), (3, 0, 3, 9)),  # crossing lines
        ((9, 9, 1, 1), (9, 9, 1, 1)),  # both inverted
        ((9, 9, 1, 1), (2, 2, 4, 4)),  # inverted prediction
        ((2, 2, 4, 4), (9, 9, 1, 1)),  # inverted target
        ((-1e6, -1e6, 1e6, 1e6), (0, 0, 1e-8, 1e-8)),  # huge and tiny
        ((1e6, 1e6, 1e6, 1e6), (-1e6, -1e6, -1e6, -1e6)),  # as far apart as can be
        ((0, 0, 1e-8, 1e-8), (0, 0, 1e-8, 2e-8)),
    ],
)
def test_degenerate_pairs(base: str, pred: tuple[float, ...], target: tuple[float, ...]) -> None:
    for dtype in (torch.float32, torch.float64):
        leaf = torch.tensor([pred], dtype=dtype, requires_grad=True)
        for loss in (
            box_loss(leaf, torch.tensor([target], dtype=dtype), base),
            icr_loss(leaf, torch.tensor([target], dtype=dtype), torch.tensor([target], dtype=dtype), base=base),
        ):
            (gradient,) = torch.autograd.grad(loss.sum(), leaf)
            assert loss.isfinite().all() and gradient.isfinite().all()


def test_boxes_of_1e_8_are_measured_like_any_other() -> None:
    pred, target, parent = plates(50)
    near = [each * 1e-9 for each in (pred, target, parent)]  # sides of about 1e-8
    torch.testing.assert_close(icr_loss(*near), icr_loss(pred, target, parent), rtol=1e-6, atol=1e-8)


def test_coordinates_beyond_the_limit_are_clamped() -> None:
    target, parent = torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[0.0, 0.0, 20.0, 20.0]])
    for wild in (1e7, 1e30, math.inf):
        beyond = icr_loss(torch.tensor([[0.0, 0.0, wild, wild]]), target, parent)
        assert torch.equal(beyond, icr_loss(torch.tensor([[0.0, 0.0, 1e6, 1e6]]), target, parent))


def test_nan_is_passed_on_for_its_own_pair_alone() -> None:
    pred, target, parent = plates(3)
    pred[1, 2] = math.nan
    assert icr_loss(pred, target, parent).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("base", BASES)
def test_no_pairs_keep_the_graph(base: str, reduction: str) -> None:
    pred = torch.zeros(0, 4, requires_grad=True)
    empty = torch.zeros(0, 4)
    for form in FORM_NAMES:
        loss = icr_loss(
            pred, empty, empty, base=base, form=form, reduction=reduction, generator=torch.Generator(),
            has_parent=torch.zeros(0, dtype=torch.bool),
        )  # fmt: skip
        loss.sum().backward()
        assert loss.isfinite().all() and loss.shape == ((0,) if reduction == "none" else ())
    assert pred.grad is not None and pred.grad.shape == (0, 4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    boxes = plates(50, dtype=dtype)
    pred = boxes[0].clone().requires_grad_(True)
    loss = icr_loss(pred, *boxes[1:])
    assert loss.dtype == torch.float32
    assert torch.equal(loss, icr_loss(*(each.float() for each in boxes)))
    loss.sum().backward()
    assert pred.grad is not None and pred.grad.dtype == dtype and pred.grad.isfinite().all()


def test_float64_stays_and_wins() -> None:
    pred, target, parent = plates(5)
    assert icr_loss(pred, target, parent).dtype == torch.float64
    assert icr_loss(pred.float(), target, parent).dtype == torch.float64


def test_autocast_does_not_reach_inside() -> None:
    pred, target, parent = plates(50, dtype=torch.float32)
    # a base with a matrix product, which autocast would compute in bfloat16
    mean = torch.full((4, 1), 0.25)

    def by_product(a: Tensor, b: Tensor) -> Tensor:
        return ((a - b).abs() @ mean).squeeze(-1)

    for base in ("ciou", "siou", by_product):
        plain = icr_loss(pred, target, parent, base=base)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = icr_loss(pred, target, parent, base=base)
        assert cast.dtype == torch.float32 and torch.equal(cast, plain)


class _ForbidLooking(TorchDispatchMode):
    """Fail on any operation whose result, or whose result's size, the host has to wait for."""

    LOOKS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "item", "is_nonzero")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        assert name not in self.LOOKS, f"{name} makes the host wait"
        if name == "index":
            assert all(index is None or index.dtype != torch.bool for index in args[1]), "a mask as an index"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("form", FORM_NAMES)
@pytest.mark.parametrize("base", BASES)
def test_the_host_never_waits(base: str, form: str) -> None:
    pred, target, parent = plates(10, dtype=torch.float32)
    pred.requires_grad_(True)
    has_parent = torch.arange(10) % 2 == 0
    weight = torch.full((10,), 2.5)
    generator = torch.Generator()
    with _ForbidLooking():
        icr_loss(
            pred, target, parent, base=base, form=form, weight=weight, has_parent=has_parent, generator=generator,
            reduction="mean",
        ).backward()  # fmt: skip
    assert pred.grad is not None


def test_the_watch_for_waiting_sees_a_wait() -> None:
    with pytest.raises(AssertionError, match="makes the host wait"), _ForbidLooking():
        torch.ones(3).sum().item()
