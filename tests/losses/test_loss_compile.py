"""`torch.compile(fullgraph=True, dynamic=True)` gives the same values and gradients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from plate_boxes import plates
from torch import Tensor

from icr import ICRLoss, box_loss, icr_loss
from icr.losses import FORM_NAMES, names


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compare(compiled: object, plain: object, counts: tuple[int, ...] = (7, 40), **options: object) -> None:
    assert callable(compiled) and callable(plain)
    for count in counts:
        pred, target, parent = plates(count, seed=count, dtype=torch.float32)
        results: list[tuple[Tensor, Tensor]] = []
        for loss in (compiled, plain):
            leaf = pred.clone().requires_grad_(True)
            value = loss(leaf, target, parent, **options)
            value.sum().backward()
            assert leaf.grad is not None
            results.append((value.detach(), leaf.grad))
        torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)


def test_icr_loss_compiles_whole_with_dynamic_shapes() -> None:
    compare(torch.compile(icr_loss, fullgraph=True, dynamic=True), icr_loss)


COMBINATIONS = [
    *((base, "product") for base in (*names(), "inner-siou", "focaler-inner-ciou")),
    *(("ciou", form) for form in FORM_NAMES if form not in ("product", "permuted")),
]


@pytest.mark.parametrize(("base", "form"), COMBINATIONS)
def test_every_base_and_form_traces_whole(base: str, form: str) -> None:
    # tracing alone finds a graph break; the code generator is tried above and in the slow test below
    traced = torch.compile(icr_loss, fullgraph=True, dynamic=True, backend="eager")
    compare(traced, icr_loss, (9,), base=base, form=form, has_parent=torch.arange(9) % 2 == 0)


def test_module_and_box_loss_trace_whole() -> None:
    criterion = ICRLoss()
    compare(torch.compile(criterion, fullgraph=True, dynamic=True, backend="eager"), criterion)
    traced = torch.compile(box_loss, fullgraph=True, dynamic=True, backend="eager")
    pred, target, _ = plates(9)
    torch.testing.assert_close(traced(pred, target, reduction="mean"), box_loss(pred, target, reduction="mean"))


def test_autocast_outside_a_compiled_loss() -> None:
    pred, target, parent = plates(9, dtype=torch.float32)
    traced = torch.compile(icr_loss, fullgraph=True, dynamic=True, backend="eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = traced(pred, target, parent)
    torch.testing.assert_close(found, icr_loss(pred, target, parent))


@pytest.mark.slow
@pytest.mark.parametrize(("base", "form"), COMBINATIONS)
def test_every_base_and_form_compiles(base: str, form: str) -> None:
    compare(torch.compile(icr_loss, fullgraph=True, dynamic=True), icr_loss, base=base, form=form)
