"""The paper's own settings, read from its tables, as overrides of the engines that train here."""

from __future__ import annotations

from typing import Any

from icr.bench.paper import table
from icr.errors import InputError

INACTIVE = {
    "obj": "no objectness branch in these detectors",
    "obj_pw": "no objectness branch in these detectors",
    "cls_pw": "1.0 is no weighting; Ultralytics' key of that name is an exponent for rare classes",
    "iou_t": "anchors are assigned by task alignment",
    "anchor_t": "the detectors have no anchor boxes",
    "fl_gamma": "0 is no focal loss",
    "SanitizeBoundingBoxes": "always done",
}
"""Parameters of Tables 5 and 6 that the engines here do not take, and why."""

_NAMES = {
    "RandomPhotometricDistort": "photometric",
    "RandomZoomOut": "zoom_out",
    "RandomIoUCrop": "iou_crop",
    "RandomHorizontalFlip": "flip",
}

TABLES = {"table5": 5, "table6": 6}


def overrides(name: str, where: str) -> dict[str, Any]:
    """The active settings of a table of the paper: `table5` for Ultralytics, `table6` for Transformers.

    Args:
        name: of the table.
        where: names what asked for it in errors.

    Raises:
        InputError: it is no table of settings.

    Example:
        >>> overrides("table6", "train")
        {'photometric': 0.5, 'zoom_out': 0.0, 'iou_crop': 0.47, 'flip': 0.0}
    """
    if name not in TABLES:
        raise InputError(f"{where}: paper is {name!r}; expected {' or '.join(TABLES)}")
    found = {}
    for row in table(TABLES[name]):
        if row["parameter"] not in INACTIVE:
            found[_NAMES.get(row["parameter"], row["parameter"])] = (
                0.0 if row["value"] == "off" else float(row["value"])
            )
    return found
