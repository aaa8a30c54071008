"""Losses by name: a user's own, modifiers, refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import icr
from icr.errors import InputError
from icr.losses import get, names, registry


@pytest.fixture
def own_loss() -> Iterator[str]:
    @icr.losses.register("own-loss")
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs().sum(-1)

    yield "own-loss"
    registry.unregister("own-loss")


def test_own_loss_works_everywhere(own_loss: str) -> None:
    pred, target = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    assert own_loss in names()
    assert icr.box_loss(pred, target, own_loss).item() == 2
    # half of the child is outside: 2 · (1 + 2.5 · 0.5)
    assert icr.icr_loss(pred, target, target, base=own_loss).item() == 4.5
    # its IoU 0.5 replaced by 1 - 0.5/0.95 more
    assert icr.box_loss(pred, target, f"focaler-{own_loss}").item() == pytest.approx(2 + 0.5 - 0.5 / 0.95)


def test_any_callable_is_a_base() -> None:
    pred, target = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    assert icr.box_loss(pred, target, lambda a, b: (a - b).square().sum(-1)).item() == 4


def test_names_are_matched_without_case() -> None:
    assert get("CIoU") is get("ciou")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cuio", r"unknown base loss 'cuio'; known: iou, giou, .*did you mean 'ciou'\?"),
        ("inner-cioo", r"unknown base loss 'cioo'.*did you mean 'ciou'"),
        ("inne-ciou", r"unknown base loss 'inne-ciou'.*did you mean 'inner-ciou'"),
        ("inner", "unknown base loss 'inner'"),
        ("", "unknown base loss ''"),
        ("inner@big-ciou", "expected numbers after '@'"),
        ("inner@-1-ciou", "unknown base loss|expected numbers"),
    ],
)
def test_unknown_names_are_refused(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        get(name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "Mine", "mine@2"])
def test_names_that_could_not_be_called_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected lower case"):
        icr.losses.register(name)(lambda pred, target: pred[..., 0])


def test_a_taken_name_is_refused_and_a_rerun_is_not(own_loss: str) -> None:
    held = get(own_loss)
    with pytest.raises(InputError, match="already belongs to"):
        icr.losses.register(own_loss)(lambda pred, target: pred[..., 0])
    assert get(own_loss) is held
    icr.losses.register(own_loss)(held)


def test_too_many_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="2 numbers after '@', expected at most 1"):
        get("inner@1,2-ciou")
