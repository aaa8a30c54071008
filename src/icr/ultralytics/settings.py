# SPDX-License-Identifier: AGPL-3.0-only
"""What the box loss of a training is made of, in forms that travel to other processes and into checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icr.errors import InputError, nearest
from icr.losses import FORM_NAMES, get
from icr.relations import Declared, Relation, ResolvedRelation, declared, is_weight, read, resolve


@dataclass(frozen=True)
class LossSettings:
    """The box loss as a user asks for it.

    Attributes:
        base: a registered IoU-family loss, or any callable `(pred, target) -> loss` on xyxy boxes in pixels.
        weight: λ for all relations; None leaves each relation its own.
        form: see `icr.losses.relational`.
        relations: None means those that `data.yaml` declares.
        enabled: False leaves Ultralytics' loss and batches as they are.
        label_cache: folder for Ultralytics' label cache; None means where Ultralytics puts it, beside the labels.
    """

    base: str | Callable[..., Any] = "ciou"
    weight: float | None = None
    form: str = "product"
    relations: tuple[Relation, ...] | None = None
    enabled: bool = True
    label_cache: Path | None = None

    def box_loss(self, data: Mapping[str, Any]) -> BoxLoss | None:
        """The same with the classes of a data set; None when the loss is off.

        Args:
            data: Ultralytics' reading of `data.yaml`.

        Raises:
            InputError: no relation is given or declared, or one does not fit the classes.
        """
        if not self.enabled:
            return None
        where = str(data.get("yaml_file", "data.yaml"))
        relations = read(data.get("relations"), where) if self.relations is None else self.relations
        if not relations:
            raise InputError(
                f"{where} declares no relation; add 'relations: [{{child: plate, parent: vehicle}}]' to it, "
                "or pass relations=['plate:vehicle'] to the trainer"
            )
        if self.weight is not None:
            relations = tuple(replace(each, weight=self.weight) for each in relations)
        return BoxLoss(self.base, self.form, resolve(relations, data["names"]))


@dataclass(frozen=True)
class BoxLoss:
    """`LossSettings` once the classes are known: what the criterion works from."""

    base: str | Callable[..., Any]
    form: str
    relations: tuple[ResolvedRelation, ...]

    def record(self) -> dict[str, Any]:
        """The same in plain values, for a checkpoint, so that a resumed run can tell whether its loss is the same."""
        base = self.base if isinstance(self.base, str) else getattr(self.base, "__qualname__", type(self.base).__name__)
        relations = [[each.child, list(each.parents), each.weight] for each in self.relations]
        return {"base": base, "form": self.form, "relations": relations}


def settle(
    base: str | Callable[..., Any],
    weight: float | None,
    form: str,
    relations: Declared | None,
    enabled: bool,
    label_cache: Path | None,
) -> LossSettings:
    """Check what a user gave and bring it into one form.

    Raises:
        InputError: an unknown base or form, a relation that cannot be read, or a negative or infinite weight.

    Example:
        >>> settle("ciou", 2.5, "product", "plate:vehicle", True, None).relations
        (Relation(child='plate', parent='vehicle', weight=2.5),)
    """
    get(base)
    if form not in FORM_NAMES:
        raise InputError(f"unknown form {form!r}; known: {', '.join(FORM_NAMES)}{nearest(str(form), FORM_NAMES)}")
    if weight is not None and not is_weight(weight):
        raise InputError(f"weight {weight!r}: expected a number that is 0 or more")
    return LossSettings(base, weight, form, None if relations is None else declared(relations), enabled, label_cache)
