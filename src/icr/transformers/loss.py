"""`model.loss_function` of a Transformers detector with ICR in its box term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from icr.errors import InputError, nearest
from icr.losses import FORM_NAMES, BaseLoss, Terms, box_loss, get, icr_terms
from icr.relations import Declared, ResolvedRelation, declared, is_weight, resolve
from icr.transformers.criterion import FAMILIES, PARTS, run, world_mean
from icr.transformers.truth import Labels, Truth, corners, gather


class Seen(NamedTuple):
    """What ICR did in the last layer at the last step, each a tensor without gradient on the model's device.

    Means over several steps or ranks are to be weighted by `pairs`.
    """

    pairs: Tensor
    """True children with a parent in the batch."""
    containment: Tensor
    """Mean R of the boxes predicted for them, 0..1; 1 where there is no pair."""
    factor: Tensor
    """How many times its base loss such a box has, mean; 1 where there is no pair."""


@dataclass(eq=False)
class LossFunction:
    """Callable for `model.loss_function`; made by :func:`loss_function`. It can be copied and pickled.

    Attributes:
        seen: what ICR did at the last step; None before the first.
        epoch: epoch from 0; whoever trains sets it where `factors` are in use.
    """

    model_type: str
    relations: tuple[ResolvedRelation, ...]
    class_weight: Tensor
    base: str | BaseLoss
    form: str
    parts: frozenset[str]
    size: tuple[int, int] | None
    factors: tuple[float, ...]
    pseudo_parent: bool
    average_boxes: bool
    generator: torch.Generator
    epoch: int = 0
    seen: Seen | None = field(default=None, repr=False)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, dict[str, Tensor], Any]:
        """Compute the loss as the model's own loss function does, from the same arguments.

        Returns:
            The loss; its terms by name, and beside them `icr_pairs`, `icr_containment`, `icr_factor`, which are no part
            of the loss; the auxiliary outputs.
        """
        loss, terms, auxiliary = run(FAMILIES[self.model_type], self, *args, **kwargs)
        assert self.seen is not None
        return loss, {**terms, **{f"icr_{name}": value for name, value in self.seen._asdict().items()}}, auxiliary

    def truth(self, labels: Labels) -> Truth:
        """The true boxes of the batch with their parents; nothing is seen yet of what is predicted for them."""
        if self.size is None and "nwd" in str(self.base) and any("size" not in each for each in labels):
            raise InputError(
                f"base {self.base!r} measures in pixels; give labels their 'size' (height, width), or size=640 to "
                "loss_function"
            )
        self.class_weight = self.class_weight.to(labels[0]["boxes"].device)
        weight = self.class_weight
        if self.factors:
            factor = self.factors[min(self.epoch, len(self.factors) - 1)]
            weight = torch.full_like(weight, factor)
        truth = gather(
            labels,
            self.relations,
            weight,
            size=self.size,
            pseudo=self.generator if self.pseudo_parent else None,
        )
        one = truth.boxes.new_ones((), dtype=torch.float32)
        self.seen = Seen(truth.has_parent.sum(), one, one)
        return truth

    def box_term(self, pred: Tensor, truth: Truth, rows: Tensor, part: str) -> Tensor:
        """IoU term of each matched pair.

        Args:
            pred: predicted boxes (M, 4), cxcywh normalised.
            truth: the true boxes.
            rows: (M,) row of the true box of each.
            part: one of `PARTS`.

        Returns:
            (M,), in float32.
        """
        scale = truth.scale if truth.scale.ndim == 1 else truth.scale[rows]
        boxes, targets = corners(pred) * scale, corners(truth.boxes[rows]) * scale
        if part != "main" and part not in self.parts:
            return box_loss(boxes, targets, self.base)
        has = truth.has_parent[rows]
        terms = icr_terms(
            boxes,
            targets,
            truth.parent[rows],
            base=self.base,
            weight=truth.weight[rows],
            form=self.form,
            has_parent=has,
            generator=self.generator,
        )
        if part not in self.parts:
            terms = terms._replace(loss=terms.base)
        if part == "main":
            self._keep(terms, has)
        return terms.loss

    def share_of_rank(self, labels: Labels) -> float:
        """By how much the normaliser of this rank must be scaled to be the mean of all ranks; 1 unless asked for."""
        if not self.average_boxes:
            return 1.0
        count = sum(len(each["boxes"]) for each in labels)
        return max(world_mean(count, labels[0]["boxes"].device), 1.0) / max(count, 1)

    def _keep(self, terms: Terms, has: Tensor) -> None:
        assert self.seen is not None
        matched = has.sum()

        def mean(values: Tensor) -> Tensor:
            total = torch.where(has, values.detach(), 0.0).sum().float()
            return torch.where(matched > 0, total / matched.clamp(min=1), 1.0)

        self.seen = Seen(self.seen.pairs, mean(terms.containment), mean(terms.factor))


def loss_function(
    model: Any,
    relations: Declared,
    base: str | BaseLoss = "giou",
    weight: float | None = None,
    form: str = "product",
    *,
    main: bool = True,
    auxiliary: bool = True,
    encoder: bool = True,
    denoising: bool = True,
    names: Sequence[str] | Mapping[int, str] | None = None,
    size: int | tuple[int, int] | None = None,
    factors: Sequence[float] = (),
    pseudo_parent: bool = False,
    average_boxes: bool = False,
    seed: int = 0,
) -> LossFunction:
    """Make the loss function of a Transformers detector with ICR in its box term.

    It does all that the model's own does, from the same arguments, and computes the IoU term pair by pair in place of
    the N·N matrix of upstream. Matching, class, L1 and D-FINE's local terms are untouched, and with weight 0 and base
    `giou` the loss is upstream's to 1e-6. The predictions' gradient flows through R as well.

    ICR acts wherever the detector computes its IoU term: last layer, auxiliary layers, encoder output, denoising. The
    paper puts ICR in the place of the detector's IoU loss and names no layer; RT-DETR's criterion computes that loss in
    one function for all of them, so an exception would be an invention. Each can be switched off.

    `save_pretrained` and `from_pretrained` do not keep a model's loss function: set it anew after loading.

    Args:
        model: RT-DETR, RT-DETRv2, D-FINE, DEIMv2, LW-DETR or RF-DETR for object detection.
        relations: one or several, each a `icr.Relation` or a text such as ``plate:vehicle``.
        base: IoU-family loss, a name or a callable `(pred, target) -> loss` on xyxy boxes.
        weight: λ for all relations; None leaves each its own, 2.5 unless it says otherwise.
        form: `product`, `sum`, `step`, `power`, or a control; see `icr.losses.forms`.
        main, auxiliary, encoder, denoising: where ICR acts; elsewhere the term is the base loss alone.
        names: class names; None means the model's `config.id2label`.
        size: side, or height and width, of the network's input in pixels. Boxes are normalised, and R, IoU and GIoU
            stay the same when an axis is scaled; but DIoU, CIoU, EIoU and SIoU see a box's shape, and NWD its pixels.
            Labels may carry `size` (2,), height and width, as Transformers' image processors write it; without either,
            the input counts as a square of side 1, which is right for square inputs and every base but `nwd`.
        factors: with form `matched`: the factor of each epoch, the last one repeated; set `epoch` as it goes on.
        pseudo_parent: a control: in place of the parent a box of its size laid at random around the child.
        average_boxes: normalise by the mean number of boxes over all ranks, as the official RT-DETR does and
            Transformers' RT-DETR and D-FINE do not. LW-DETR and RF-DETR always do.
        seed: of the controls that draw.

    Returns:
        The function, for ``model.loss_function = …``. Labels may carry `parent` (N,): for each box the index of its
        parent in the same picture, -1 for none; without it `icr.match_parents` decides by geometry.

    Raises:
        InputError: another kind of model, no relation, an unknown class, base or form, or a weight that is none.

    Example:
        >>> from icr.transformers import build
        >>> model = build("rtdetrv2-r18", ["plate", "vehicle"], num_queries=10)
        >>> model.loss_function = loss_function(model, "plate:vehicle")
        >>> picture = torch.zeros(1, 3, 64, 64)
        >>> boxes = torch.tensor([[0.5, 0.5, 0.1, 0.05], [0.5, 0.5, 0.6, 0.4]])
        >>> output = model(picture, labels=[{"class_labels": torch.tensor([0, 1]), "boxes": boxes}])
        >>> int(output.loss_dict["icr_pairs"]), bool(output.loss_dict["icr_factor"] >= 1)
        (1, True)
    """
    _check(model, base, form)
    config = model.config
    height, width = (size, size) if isinstance(size, int) else size or (0, 0)
    given = _weighted(relations, weight)
    if not given:
        raise InputError("no relation is given, so the ICR loss could not act; name one, such as 'plate:vehicle'")
    classes = dict(config.id2label) if names is None else names
    resolved = resolve(given, classes)
    class_weight = torch.zeros(max(config.num_labels, len(classes)))
    for relation in resolved:
        class_weight[relation.child] = relation.weight
    asked = zip(PARTS, (main, auxiliary, encoder, denoising), strict=True)
    return LossFunction(
        model_type=config.model_type,
        relations=resolved,
        class_weight=class_weight,
        base=base,
        form=form,
        parts=frozenset(part for part, on in asked if on),
        size=(height, width) if height else None,
        factors=tuple(factors),
        pseudo_parent=pseudo_parent,
        average_boxes=average_boxes and config.model_type not in ("lw_detr", "rf_detr"),
        generator=torch.Generator().manual_seed(seed),
    )


def _check(model: Any, base: str | BaseLoss, form: str) -> None:
    get(base)
    if form not in FORM_NAMES:
        raise InputError(f"unknown form {form!r}; known: {', '.join(FORM_NAMES)}{nearest(str(form), FORM_NAMES)}")
    kind = getattr(getattr(model, "config", None), "model_type", None)
    if kind is None:
        raise InputError(
            f"{type(model).__name__} is no model of Transformers; give the detector itself, nothing that wraps it"
        )
    if kind not in FAMILIES or "Segmentation" in type(model).__name__:
        raise InputError(
            f"{type(model).__name__} (model type {kind!r}) has no place for ICR here; "
            f"supported are object detectors of type {', '.join(FAMILIES)}"
        )


def _weighted(relations: Declared, weight: float | None) -> Declared:
    if weight is None:
        return declared(relations)
    if not is_weight(weight):
        raise InputError(f"weight {weight!r}: expected a number that is 0 or more")
    return tuple(replace(each, weight=weight) for each in declared(relations))
