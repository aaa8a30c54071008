"""Every loss once more in plain Python on floats, written from the papers' formulas, to compare with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Box = Sequence[float]


def overlap(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return width * height


def area(a: Box) -> float:
    return (a[2] - a[0]) * (a[3] - a[1])


def iou_of(a: Box, b: Box) -> float:
    return overlap(a, b) / (area(a) + area(b) - overlap(a, b))


def hull(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def centre(a: Box) -> tuple[float, float]:
    return (a[0] + a[2]) / 2, (a[1] + a[3]) / 2


def size(a: Box) -> tuple[float, float]:
    return a[2] - a[0], a[3] - a[1]


def iou(a: Box, b: Box) -> float:
    return 1 - iou_of(a, b)


def giou(a: Box, b: Box) -> float:
    union = area(a) + area(b) - overlap(a, b)
    enclosing = area(hull(a, b))
    return 1 - (iou_of(a, b) - (enclosing - union) / enclosing)


def diou(a: Box, b: Box) -> float:
    diagonal = math.hypot(*size(hull(a, b)))
    return 1 - iou_of(a, b) + (math.dist(centre(a), centre(b)) / diagonal) ** 2


def ciou(a: Box, b: Box) -> float:
    (w, h), (wt, ht) = size(a), size(b)
    v = 4 / math.pi**2 * (math.atan(wt / ht) - math.atan(w / h)) ** 2
    alpha = v / (1 - iou_of(a, b) + v) if v else 0.0
    return diou(a, b) + alpha * v


def eiou(a: Box, b: Box) -> float:
    (w, h), (wt, ht), (cw, ch) = size(a), size(b), size(hull(a, b))
    return diou(a, b) + (w - wt) ** 2 / cw**2 + (h - ht) ** 2 / ch**2


def siou(a: Box, b: Box) -> float:
    (ax, ay), (bx, by) = centre(a), centre(b)
    dx, dy = bx - ax, by - ay
    sigma = math.hypot(dx, dy)
    sine = abs(dx) / sigma
    if sine > math.sqrt(2) / 2:
        sine = abs(dy) / sigma
    angle = math.cos(2 * math.asin(sine) - math.pi / 2)
    gamma = angle - 2
    cw, ch = size(hull(a, b))
    distance = 2 - math.exp(gamma * (dx / cw) ** 2) - math.exp(gamma * (dy / ch) ** 2)
    (w, h), (wt, ht) = size(a), size(b)
    shape = (1 - math.exp(-abs(w - wt) / max(w, wt))) ** 4 + (1 - math.exp(-abs(h - ht) / max(h, ht))) ** 4
    return 1 - (iou_of(a, b) - 0.5 * (distance + shape))


def nwd(a: Box, b: Box, constant: float = 12.8) -> float:
    (w, h), (wt, ht) = size(a), size(b)
    wasserstein = math.sqrt(math.dist(centre(a), centre(b)) ** 2 + ((w - wt) / 2) ** 2 + ((h - ht) / 2) ** 2)
    return 1 - math.exp(-wasserstein / constant)


LOSSES: dict[str, Callable[[Box, Box], float]] = {
    "iou": iou,
    "giou": giou,
    "diou": diou,
    "ciou": ciou,
    "eiou": eiou,
    "siou": siou,
    "nwd": nwd,
}


def resized(a: Box, ratio: float) -> Box:
    (x, y), (w, h) = centre(a), size(a)
    return x - w * ratio / 2, y - h * ratio / 2, x + w * ratio / 2, y + h * ratio / 2


def inner(base: str, a: Box, b: Box, ratio: float = 1.25) -> float:
    return LOSSES[base](a, b) + iou_of(a, b) - iou_of(resized(a, ratio), resized(b, ratio))


def focaler(base: str, a: Box, b: Box, low: float = 0.0, high: float = 0.95) -> float:
    return LOSSES[base](a, b) + iou_of(a, b) - min(1.0, max(0.0, (iou_of(a, b) - low) / (high - low)))


def containment(a: Box, v: Box) -> float:
    return overlap(a, v) / area(a)


def relational(form: str, loss: float, inside: float, weight: float) -> float:
    if form == "product":
        return loss * (1 + weight * (1 - inside))
    if form == "sum":
        return loss + weight * (1 - inside)
    if form == "power":
        return loss * weight ** (1 - inside)
    assert form == "step"
    return loss if inside == 1 else weight * loss
