# SPDX-License-Identifier: AGPL-3.0-only
"""What the box loss of a training is made of, in forms that travel to other processes and into checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from icr.errors import InputError, nearest
from icr.losses import FORM_NAMES, Terms, get, icr_terms, pseudo_parent
from icr.relations import Declared, Relation, ResolvedRelation, declared, is_weight, read, resolve
from icr.ultralytics.moment import Moment


@dataclass(frozen=True)
class LossSettings:
    """The box loss as a user asks for it.

    Attributes:
        base: a registered IoU-family loss, or any callable `(pred, target) -> loss` on xyxy boxes in pixels.
        weight: λ for all relations; None leaves each relation its own.
        form: see `icr.losses.forms`.
        relations: None means those that `data.yaml` declares.
        enabled: False leaves Ultralytics' loss and batches as they are.
        label_cache: folder for Ultralytics' label cache; None means where Ultralytics puts it, beside the labels.
        factors: for `matched`: the factor of every child with a parent, by epoch; the last one holds for the rest.
        pseudo_parent: hold children to a box of their parent's size at a random place instead of the parent.
    """

    base: str | Callable[..., Any] = "ciou"
    weight: float | None = None
    form: str = "product"
    relations: tuple[Relation, ...] | None = None
    enabled: bool = True
    label_cache: Path | None = None
    factors: tuple[float, ...] = ()
    pseudo_parent: bool = False

    def box_loss(self, data: Mapping[str, Any], moment: Moment | None = None) -> BoxLoss | None:
        """The same with the classes of a data set; None when the loss is off.

        Args:
            data: Ultralytics' reading of `data.yaml`.
            moment: where the training stands, kept up by the trainer; None for a loss outside a training.

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
        resolved = resolve(relations, data["names"])
        return BoxLoss(self.base, self.form, resolved, self.factors, self.pseudo_parent, moment or Moment())


@dataclass(frozen=True)
class BoxLoss:
    """`LossSettings` once the classes are known: what the criterion works from, in training and in validation."""

    base: str | Callable[..., Any]
    form: str
    relations: tuple[ResolvedRelation, ...]
    factors: tuple[float, ...] = ()
    pseudo_parent: bool = False
    moment: Moment = field(default_factory=Moment, compare=False)

    def held_to(self, children: Tensor, parents: Tensor) -> Tensor:
        """The boxes that children are held to: their parents, or for the control boxes of the same sizes elsewhere.

        These are drawn anew for every batch, one for each child, from seed, epoch and batch alone: both branches of an
        end-to-end head are given the same ones, and so is a run that was killed and goes on.

        Args:
            children, parents: true boxes (..., 4), xyxy, same unit; where there is no parent any box will do.
        """
        if not self.pseudo_parent:
            return parents
        return pseudo_parent(children, parents, self.moment.generator("pseudo-parent"))

    def terms(self, pred: Tensor, target: Tensor, parent: Tensor, weight: Tensor, has_parent: Tensor) -> Terms:
        """The loss of each pair; arguments and result are those of `icr.losses.icr_terms`."""
        return icr_terms(
            pred,
            target,
            parent,
            base=self.base,
            weight=weight.new_full((), self._factor()) if self.form == "matched" else weight,
            form=self.form,
            has_parent=has_parent,
            generator=self.moment.generator("permuted") if self.form == "permuted" else None,
        )

    def _factor(self) -> float:
        return self.factors[min(self.moment.epoch, len(self.factors) - 1)]

    def record(self) -> dict[str, Any]:
        """The same in plain values, for a checkpoint, so that a resumed run can tell whether its loss is the same."""
        base = self.base if isinstance(self.base, str) else getattr(self.base, "__qualname__", type(self.base).__name__)
        relations = [[each.child, list(each.parents), each.weight] for each in self.relations]
        controls: dict[str, Any] = {"factors": list(self.factors)} if self.factors else {}
        if self.pseudo_parent:
            controls["pseudo_parent"] = True
        return {"base": base, "form": self.form, "relations": relations, **controls}


def settle(
    base: str | Callable[..., Any],
    weight: float | None,
    form: str,
    relations: Declared | None,
    enabled: bool,
    label_cache: Path | None,
    factors: Sequence[float] = (),
    pseudo_parent: bool = False,
) -> LossSettings:
    """Check what a user gave and bring it into one form.

    Raises:
        InputError: an unknown base or form, a relation that cannot be read, a negative or infinite weight, or `matched`
            without factors.

    Example:
        >>> settle("ciou", 2.5, "product", "plate:vehicle", True, None).relations
        (Relation(child='plate', parent='vehicle', weight=2.5),)
    """
    get(base)
    if form not in FORM_NAMES:
        raise InputError(f"unknown form {form!r}; known: {', '.join(FORM_NAMES)}{nearest(str(form), FORM_NAMES)}")
    if weight is not None and not is_weight(weight):
        raise InputError(f"weight {weight!r}: expected a number that is 0 or more")
    if (form == "matched") != bool(factors):
        raise InputError("form='matched' and factors, one for each epoch, go together; give both or neither")
    if not all(map(is_weight, factors)):
        raise InputError(f"factors {list(factors)}: expected numbers of at least 0, one for each epoch")
    given = None if relations is None else declared(relations)
    return LossSettings(base, weight, form, given, enabled, label_cache, tuple(factors), pseudo_parent)
