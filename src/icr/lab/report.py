"""What the lab found, as a table."""

from __future__ import annotations

from collections.abc import Mapping

from icr.lab.outcome import Arrival, Outcome


def table(outcomes: Mapping[str, Outcome]) -> str:
    """One row for each loss: when boxes arrived and how they moved.

    Example:
        >>> from icr.lab.outcome import Arrival, Outcome
        >>> import torch
        >>> all_of_them, few = Arrival(1.0, 12.0), Arrival(0.25, None)
        >>> print(table({"CIoU": Outcome(all_of_them, few, few, 0.4, torch.zeros(1), torch.zeros(1), 0.01, 1.2)}))
        loss  mean IoU       near  IoU 0.5  IoU 0.75  turns  detour
        CIoU     0.400  12 (100%)  - (25%)   - (25%)   1.0%    1.20
    """
    head = ("loss", "mean IoU", "near", "IoU 0.5", "IoU 0.75", "turns", "detour")
    rows = [
        (
            name,
            f"{one.mean_iou:.3f}",
            *(_told(arrival) for arrival in (one.near, one.iou50, one.iou75)),
            f"{100 * one.oscillation:.1f}%",
            f"{one.detour:.2f}",
        )
        for name, one in outcomes.items()
    ]
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    )


LEGEND = (
    "near, IoU 0.5, IoU 0.75: median steps until there over all boxes (share of them that ever were; - where under "
    "half); near: centre within half the target's diagonal; turns: moves by more than a right angle against the one "
    "before; detour: way of the centre by the straight line"
)


def _told(arrival: Arrival) -> str:
    steps = "-" if arrival.steps is None else f"{arrival.steps:.0f}"
    return f"{steps} ({100 * arrival.share:.0f}%)"
