"""Outlines of parts, as (N, 2) points."""

from __future__ import annotations

import numpy as np

from icr.data.synth.camera import Array


def box(left: float, low: float, right: float, high: float) -> Array:
    """A rectangle (4, 2)."""
    return np.array([[left, low], [right, low], [right, high], [left, high]])


def ellipse(x: float, y: float, wide: float, tall: float) -> Array:
    """An ellipse (16, 2) about (x, y)."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.stack([x + wide * np.cos(angles), y + tall * np.sin(angles)], axis=-1)


def rounded(left: float, low: float, right: float, high: float, radius: float) -> Array:
    """A rectangle with rounded corners (20, 2)."""
    radius = min(radius, (right - left) / 2, (high - low) / 2)
    points = []
    for x, y, start in (
        (right - radius, high - radius, 0.0),
        (left + radius, high - radius, 0.5),
        (left + radius, low + radius, 1.0),
        (right - radius, low + radius, 1.5),
    ):
        angles = np.pi * (start + np.linspace(0, 0.5, 5))
        points.append(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=-1))
    return np.concatenate(points)


def shrunk(shape: Array, factor: float) -> Array:
    """A shape drawn in towards its middle."""
    middle = shape.mean(axis=0)
    return np.asarray(middle + (shape - middle) * factor)
