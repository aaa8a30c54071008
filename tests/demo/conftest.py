"""A small report with everything in it, made by hand."""

from __future__ import annotations

import io
import math

import pytest
from PIL import Image, ImageDraw

from icr.demo.report import Curve, Figure, Marks, Picture, Report, Row, Way

TRUTH = Marks(
    boxes=[(30.0, 20.0, 110.0, 84.0), (58.0, 62.0, 80.0, 69.0), (2.0, 90.0, 60.0, 126.0), (22.0, 112.0, 38.0, 118.0)],
    labels=[1, 0, 1, 0],
    parents=[-1, 0, -1, 2],
)


@pytest.fixture
def report() -> Report:
    """Two rows, one picture, two curves and a short way; a name in it looks like markup."""
    return Report(
        seed=0,
        test_pictures=100,
        test_plates=212,
        rows=[
            _row("plate.AP50", "AP50", 0.612, 0.641, (-0.011, 0.07)),
            _row("vehicle.AP50", "AP50", 0.951, 0.949, (-0.01, 0.006)),
            _row("pairs.recall", "Pair recall", 0.55, 0.58, (0.004, 0.056)),
            _row("pairs.orphan_rate", "Orphan rate", 0.08, 0.05, (-0.05, -0.01), higher_is_better=False),
        ],
        pictures=[_picture()],
        picture_rule="Chosen by their number in the list.",
        curves=[
            Curve(
                "Plate AP50",
                "On the validation pictures.",
                [(1, 0.0), (2, 0.3), (3, 0.6)],
                [(1, 0.1), (2, 0.4), (3, 0.62)],
                (0.0, 1.0),
            ),
            Curve("Mean containment", "Only the run with ICR.", [], [(1, 0.7), (2, math.nan), (3, 0.95)]),
        ],
        way=_way(),
        facts=[("Network", "small <b>net</b> & more"), ("Time", "8 minutes")],
        again="icr train data.yaml --seed 1",
        own="icr train DATA --relation child:parent --model yolo11n",
    )


def _row(
    key: str, name: str, baseline: float, icr: float, span: tuple[float, float], higher_is_better: bool = True
) -> Row:
    return Row(
        key,
        name,
        f"what {name} means",
        Figure(baseline, baseline - 0.04, baseline + 0.04),
        Figure(icr, icr - 0.04, icr + 0.04),
        Figure(icr - baseline, *span),
        higher_is_better,
    )


def _picture() -> Picture:
    image = Image.new("RGB", (128, 128), (90, 100, 110))
    draw = ImageDraw.Draw(image)
    for box, label in zip(TRUTH.boxes, TRUTH.labels, strict=True):
        draw.rectangle(box, fill=(230, 230, 220) if label == 0 else (40, 60, 120))
    stored = io.BytesIO()
    image.save(stored, "JPEG")
    baseline = Marks([TRUTH.boxes[0], (60.0, 63.0, 84.0, 72.0)], [1, 0], [-1, 0], [0.93, 0.41])
    icr = Marks([*TRUTH.boxes[:3], (90.0, 100.0, 104.0, 106.0)], [1, 0, 1, 0], [-1, 0, -1, -1], [0.9, 0.8, 0.7, 0.3])
    return Picture("<script>1.jpg", "Picture 1: by day.", stored.getvalue(), 128, 128, TRUTH, baseline, icr)


def _way() -> Way:
    def walk(speed: float) -> list[tuple[float, float, float, float]]:
        boxes = []
        for step in range(201):
            left = 165 - 130 * math.exp(-speed * step)
            top = 185 - 160 * math.exp(-speed * step * 1.3)
            boxes.append((left, top, left + 30, top + 10))
        return boxes

    slow, fast = walk(0.01), walk(0.04)
    rising = [1 - math.exp(-step / 80) for step in range(201)]
    return Way(
        parent=(100, 100, 260, 220),
        target=(165, 185, 195, 195),
        stride=4,
        baseline=slow,
        icr=fast,
        baseline_iou=[y * 0.4 for y in rising],
        icr_iou=[y * 0.9 for y in rising],
        starts=2000,
        baseline_mean=[y * 0.2 for y in rising],
        icr_mean=[y * 0.5 for y in rising],
        better=0.27,
        worse=0.01,
    )
