"""Losses, start boxes, outcomes and fields of the lab, against what can be said by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from icr import box_loss, icr_loss
from icr.errors import InputError
from icr.lab.field import over_centres, over_sizes
from icr.lab.losses import lab_losses
from icr.lab.outcome import measure
from icr.lab.starts import grid_starts
from icr.lab.trajectory import PLATE, VEHICLE, Trajectory, random_starts, simulate
from icr.losses import names
from icr.losses.registry import unregister

TARGET, PARENT = torch.tensor(PLATE), torch.tensor(VEHICLE)


def path(*boxes: tuple[float, float, float, float]) -> Trajectory:
    """The way of one box, with its true IoU."""
    from icr.boxes import iou

    steps = torch.tensor(boxes).unsqueeze(1)
    return Trajectory(steps, iou(steps, TARGET.expand_as(steps)))


def shifted(x: float, y: float = 0.0) -> tuple[float, float, float, float]:
    left, top, right, bottom = PLATE
    return left + x, top + y, right + x, bottom + y


def test_each_base_stands_beside_its_icr() -> None:
    found = lab_losses(["iou", "inner-ciou"], ["product", "permuted"], weight=1.0)
    assert [one.name for one in found] == [
        "IoU",
        "ICR-IoU",
        "ICR-IoU (permuted)",
        "INNER-CIoU",
        "ICR-INNER-CIoU",
        "ICR-INNER-CIoU (permuted)",
    ]
    boxes, targets, parents = random_starts(20), TARGET.expand(20, 4), PARENT.expand(20, 4)
    assert torch.equal(found[0].loss(boxes, targets, parents), box_loss(boxes, targets, "iou"))
    assert torch.equal(
        found[1].loss(boxes, targets, parents), icr_loss(boxes, targets, parents, base="iou", weight=1.0)
    )


def test_a_loss_of_the_users_own_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def corner_gap(pred, target):\n    return (pred - target).abs().mean(-1)\n")
    try:
        alone, related = lab_losses([f"{tmp_path}/mine.py:corner_gap"])
        assert (alone.name, related.name) == ("CORNER-GAP", "ICR-CORNER-GAP")
        far = torch.tensor([shifted(400.0)])
        assert alone.loss(far, TARGET.unsqueeze(0), PARENT.unsqueeze(0)).tolist() == [200.0]
        assert related.loss(far, TARGET.unsqueeze(0), PARENT.unsqueeze(0)).tolist() == [700.0]
        assert "corner-gap" in names()
    finally:
        unregister("corner-gap")


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("siouu", "siou"),
        ("none.py:loss", "no file none.py"),
        ("{}/broken.py:loss", "does not run .ZeroDivisionError"),
        ("{}/empty.py:loss", "holds no function loss"),
    ],
)
def test_a_loss_that_cannot_be_had_is_refused(tmp_path: Path, base: str, said: str) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(InputError, match=said):
        lab_losses([base.format(tmp_path)])


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'product'"):
        lab_losses(forms=["prodct"])


def test_starts_lie_at_the_distances_and_have_the_sizes_asked_for() -> None:
    boxes = grid_starts(TARGET, distances=(1.0, 3.0), scales=(2.0,), aspects=(0.25,), directions=4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 - torch.tensor([180.0, 190.0])
    diagonal = math.hypot(30, 10)
    assert centres.norm(dim=-1).tolist() == pytest.approx([diagonal] * 4 + [3 * diagonal] * 4, rel=1e-4)
    # twice the size, a quarter of the aspect ratio: half as wide again, four times as high
    assert (boxes[:, 2:] - boxes[:, :2])[0].tolist() == pytest.approx([30.0, 40.0])


def test_an_outcome_by_hand() -> None:
    # the target's half diagonal is 15.8 px; a shift of 10 px of 30 leaves IoU 20/40, one of 3 px 27/33
    way = path(shifted(60), shifted(20), shifted(-10), shifted(3), shifted(0))
    found = measure(way, TARGET)
    assert (found.near.steps, found.iou50.steps, found.iou75.steps) == (2.0, 2.0, 3.0)
    assert found.error.tolist() == [30.0, 10.0, 5.0, 1.5, 0.0]
    # moves -40, -30, +13, -3: two of the three turn back; 86 px of way for 60
    assert found.oscillation == pytest.approx(2 / 3)
    assert found.detour == pytest.approx(86 / 60)
    assert found.mean_iou == 1.0


def test_what_never_arrives_has_no_steps() -> None:
    boxes = torch.stack((torch.tensor([shifted(500), shifted(400), shifted(0)]),) * 2)
    found = measure(Trajectory(boxes, torch.tensor([[0.0, 0.0, 1.0]] * 2)), TARGET)
    assert (found.iou50.share, found.iou50.steps) == (pytest.approx(1 / 3), None)
    assert (found.oscillation, found.detour) == (0.0, 1.0), "boxes that stand still neither turn nor stray"


def test_the_gradient_of_a_field_is_that_of_finite_differences() -> None:
    x, y = torch.tensor([120.0, 262.0, 300.0]), torch.tensor([150.0, 218.0])
    field = over_centres(icr_loss, TARGET, PARENT, x=x, y=y, scale=1.5, aspect=0.5)
    step = 0.25
    right = over_centres(icr_loss, TARGET, PARENT, x=x + step, y=y, scale=1.5, aspect=0.5).loss
    left = over_centres(icr_loss, TARGET, PARENT, x=x - step, y=y, scale=1.5, aspect=0.5).loss
    assert (-field.descent[..., 0]).flatten().tolist() == pytest.approx(
        ((right - left) / (2 * step)).flatten().tolist(), rel=0.02, abs=2e-5
    )
    assert torch.equal(field.strength, torch.hypot(*field.descent.unbind(-1)))


def test_far_boxes_of_small_children_have_no_gradient_by_iou_alone() -> None:
    sizes = (8.0, 24.0, 120.0)
    _, alone = over_sizes(lambda pred, target, parent: box_loss(pred, target, "iou"), sizes=sizes, distance=30.0)
    _, related = over_sizes(lambda pred, target, parent: icr_loss(pred, target, parent, base="iou"), sizes=sizes)
    assert alone[0] == 0 and alone[1] == 0 and alone[2] > 0
    assert related[0] > 0, "where the box is partly in the parent, ICR pulls"


def test_centre_and_size_as_parameters_go_further() -> None:
    start = random_starts(500)
    corners, centre = (
        simulate(start, TARGET, PARENT, lambda pred, target, parent: box_loss(pred, target), parameters=parameters)
        for parameters in ("corners", "centre")
    )
    assert torch.allclose(corners.boxes[0], centre.boxes[0], atol=1e-4)
    assert centre.iou[-1].mean() > corners.iou[-1].mean() + 0.2
    sides = centre.boxes[..., 2:] - centre.boxes[..., :2]
    assert float(sides.min()) >= 1 - 1e-3
    with pytest.raises(InputError, match="expected corners or centre"):
        simulate(start, TARGET, PARENT, icr_loss, parameters="polar")
