"""Relations between classes (a plate lies on a vehicle), and which box is whose parent.

A *relation* is a rule between two classes; a *pair* is one child box with its parent box. Declaring and resolving
relations needs nothing but the standard library; PyTorch is imported where boxes are compared.
"""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from icr.errors import InputError, nearest

if TYPE_CHECKING:
    import torch

    from icr.data.dataset import Dataset, Sample

    _Boxes: TypeAlias = tuple[torch.Tensor, torch.Tensor]

ClassRef: TypeAlias = "str | int"
"""A class by name or by index."""

HALF = 0.5
"""The least share of a child that must lie inside a box for that box to be its parent."""

ALIKE = 1e-3
"""Parents whose shares of a child differ by no more than this hold it equally well; the smallest of them is taken."""

DEFAULT_WEIGHT = 2.5
"""The paper's lambda."""

Declared: TypeAlias = "Relation | str | Iterable[Relation | str]"
"""Relations as a user writes them: one or several, each a `Relation` or a text such as ``plate:vehicle``."""

Indexed: TypeAlias = "ResolvedRelation | Relation | Iterable[ResolvedRelation | Relation]"
"""Relations whose classes are indices: one or several."""

_FORMS = "'plate:vehicle' or icr.Relation('plate', 'vehicle'), or a list of such"
_KEYS = ("child", "parent", "weight", "one_to_one")
_NAMES_SHOWN = 80


@dataclass(frozen=True)
class Relation:
    """A rule: objects of class `child` lie inside objects of class `parent`.

    Args:
        child: class name or index.
        parent: class name or index, or several of them (a list is kept as a tuple).
        weight: lambda of the ICR loss for this relation; 0 switches its pull off.
        one_to_one: a parent holds one such child at most, which `icr data pair` makes use of.

    Raises:
        InputError: a class is missing or is no name or index, the weight is negative or not finite, or `one_to_one` is
            neither true nor false.

    Example:
        >>> Relation("plate", ["car", "bus"])
        Relation(child='plate', parent=('car', 'bus'), weight=2.5)
        >>> str(Relation("plate", ("car", "bus")))
        'plate:car,bus'
    """

    child: ClassRef
    parent: ClassRef | tuple[ClassRef, ...]
    weight: float = DEFAULT_WEIGHT
    one_to_one: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.parent, list):
            object.__setattr__(self, "parent", tuple(self.parent))
        if isinstance(self.parent, tuple) and not self.parent:
            raise InputError("a relation has no parent class; expected one or several, as in plate:vehicle")
        for role, classes in (("child", (self.child,)), ("parent", self.parents)):
            for each in classes:
                if isinstance(each, bool) or not isinstance(each, (str, int)) or each == "":
                    raise InputError(f"the {role} of a relation is {each!r}; expected a class name or index")
        if not is_weight(self.weight):
            raise InputError(f"the weight of relation {self} is {self.weight!r}; expected a finite number of 0 or more")
        if not isinstance(self.one_to_one, bool):
            raise InputError(f"one_to_one of relation {self} is {self.one_to_one!r}; expected true or false")

    @property
    def parents(self) -> tuple[ClassRef, ...]:
        """The parent classes, always as a tuple."""
        return self.parent if isinstance(self.parent, tuple) else (self.parent,)

    def __str__(self) -> str:
        return f"{self.child}:{','.join(str(each) for each in self.parents)}"

    @classmethod
    def parse(cls, text: str, weight: float = DEFAULT_WEIGHT) -> Relation:
        """Read ``child:parent`` or ``child:parent,parent``, the form that ``--relation`` takes.

        Raises:
            InputError: the text has another form.

        Example:
            >>> Relation.parse("plate:car,bus,truck")
            Relation(child='plate', parent=('car', 'bus', 'truck'), weight=2.5)
        """
        child, colon, rest = (part.strip() for part in text.partition(":"))
        parents = tuple(part.strip() for part in rest.split(","))
        if not colon or not child or not all(parents):
            raise InputError(
                f"relation {text!r} cannot be read; expected child:parent or child:parent,parent,…, as in plate:car"
            )
        return cls(child, parents[0] if len(parents) == 1 else parents, weight)


def is_weight(value: Any) -> bool:
    """Tell whether a value can be λ: a finite number of 0 or more.

    Example:
        >>> is_weight(2.5), is_weight(-1), is_weight("2")
        (True, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def declared(relations: Declared) -> tuple[Relation, ...]:
    """Bring relations as a user writes them into one form.

    Args:
        relations: one relation or several, each a `Relation` or a text such as ``plate:vehicle``.

    Raises:
        InputError: something among them is neither, or a text cannot be read.

    Example:
        >>> declared("plate:car")
        (Relation(child='plate', parent='car', weight=2.5),)
        >>> declared(["plate:car", Relation("rider", "bus")])
        (Relation(child='plate', parent='car', weight=2.5), Relation(child='rider', parent='bus', weight=2.5))
    """
    several = [relations] if isinstance(relations, (Relation, str)) else relations
    if isinstance(several, Mapping) or not isinstance(several, Iterable):
        raise InputError(f"relations is {_kind(several)}; expected {_FORMS}")
    found = []
    for each in several:
        if not isinstance(each, (Relation, str)):
            raise InputError(f"a relation is {_kind(each)}; expected {_FORMS}")
        found.append(Relation.parse(each) if isinstance(each, str) else each)
    return tuple(found)


@dataclass(frozen=True)
class ResolvedRelation:
    """A relation with its classes as indices into a list of names."""

    child: int
    parents: tuple[int, ...]
    weight: float = DEFAULT_WEIGHT


def read(block: Any, where: str) -> tuple[Relation, ...]:
    """Read the ``relations:`` block of a ``data.yaml``, already parsed from YAML.

    Args:
        block: a list of ``{child: …, parent: … or [ …, … ], weight: …, one_to_one: …}`` or of ``child:parent`` strings;
            None: no block.
        where: the file, for error messages.

    Raises:
        InputError: anything in the block is not as expected; one line that names the file and the entry.

    Example:
        >>> read([{"child": "plate", "parent": ["car", "bus"]}], "data.yaml")
        (Relation(child='plate', parent=('car', 'bus'), weight=2.5),)
    """
    if block is None:
        return ()
    form = "relations: [{child: plate, parent: vehicle}]"
    if isinstance(block, (str, Mapping)) or not isinstance(block, Sequence):
        raise InputError(f"{where}: relations is {_kind(block)}; expected a list, as in {form}")
    found = []
    for index, entry in enumerate(block):
        place = f"{where}: relations[{index}]"
        try:
            found.append(Relation.parse(entry) if isinstance(entry, str) else _from_mapping(entry, form))
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
    return tuple(found)


def _from_mapping(entry: Any, form: str) -> Relation:
    if not isinstance(entry, Mapping):
        raise InputError(f"found {_kind(entry)}; expected a child and a parent, as in {form}")
    for key in entry:
        if key not in _KEYS:
            raise InputError(f"unknown key {key!r}; expected {', '.join(_KEYS)}{nearest(str(key), _KEYS)}")
    for key in _KEYS[:2]:
        if entry.get(key) is None:
            raise InputError(f"{key} is missing; expected a child and a parent, as in {form}")
    return Relation(**entry)


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    return f"{type(value).__name__} {value!r}"


def resolve(relations: Declared, names: Sequence[str] | Mapping[int, str]) -> tuple[ResolvedRelation, ...]:
    """Turn class names into class indices.

    Chains (digit in plate, plate in vehicle) are fine. A text of digits that is no class name counts as an index, so
    that ``--relation 0:1`` works.

    Args:
        relations: the relations as declared: one or several, each a `Relation` or a text such as ``plate:vehicle``.
        names: the class names, as a list or as ``{index: name}``.

    Raises:
        InputError: a relation cannot be read; a class is unknown (with the names and the nearest match) or its name is
            not unique; a class is the child of two relations, or its own parent, directly or around a circle.

    Example:
        >>> resolve([Relation("plate", ("car", "bus"))], ["plate", "car", "bus"])
        (ResolvedRelation(child=0, parents=(1, 2), weight=2.5),)
    """
    by_id = dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
    resolved: dict[int, ResolvedRelation] = {}
    for relation in declared(relations):
        child = _index(relation.child, by_id, relation)
        parents = tuple(dict.fromkeys(_index(each, by_id, relation) for each in relation.parents))
        if child in parents:
            raise InputError(
                f"relation {relation}: class {by_id[child]!r} cannot be its own parent; name another class"
            )
        if child in resolved:
            every = ",".join(by_id[each] for each in dict.fromkeys(resolved[child].parents + parents))
            raise InputError(
                f"class {by_id[child]!r} is the child of two relations; give all its parents in one, "
                f"as in {by_id[child]}:{every}"
            )
        resolved[child] = ResolvedRelation(child, parents, float(relation.weight))
    _refuse_circles(resolved, by_id)
    return tuple(resolved.values())


def _index(wanted: ClassRef, by_id: Mapping[int, str], relation: Relation) -> int:
    same = [index for index, name in by_id.items() if name == wanted]
    if len(same) > 1:
        raise InputError(
            f"relation {relation}: {len(same)} classes are named {wanted!r} ({same}); give the index instead"
        )
    if same:
        return same[0]
    if isinstance(wanted, int) or (wanted.isascii() and wanted.isdigit()):
        if int(wanted) in by_id:
            return int(wanted)
        raise InputError(f"relation {relation}: there is no class of index {wanted}; the classes are {_listed(by_id)}")
    hint = nearest(wanted, by_id.values())
    raise InputError(f"relation {relation}: there is no class {wanted!r}; the classes are {_listed(by_id)}{hint}")


def _listed(by_id: Mapping[int, str]) -> str:
    shown = ", ".join(f"{index} {name}" for index, name in list(by_id.items())[:_NAMES_SHOWN])
    return shown + (f", … ({len(by_id)} in all)" if len(by_id) > _NAMES_SHOWN else "") if by_id else "none at all"


def _refuse_circles(resolved: Mapping[int, ResolvedRelation], by_id: Mapping[int, str]) -> None:
    for start in resolved:
        above, waiting = set[int](), list(resolved[start].parents)
        while waiting:
            each = waiting.pop()
            if each == start:
                raise InputError(
                    f"the relations go round in a circle through class {by_id[start]!r}; leave one of them out"
                )
            if each not in above:
                above.add(each)
                waiting.extend(resolved[each].parents if each in resolved else ())


def match_parents(boxes: torch.Tensor, labels: torch.Tensor, relations: Indexed) -> torch.Tensor:
    """Find each box's parent by geometry: the allowed box holding most of it, at least half; of equals, the smallest.

    Works on any device without host synchronisation or a loop over boxes, inside ``torch.compile(fullgraph=True)`` too;
    memory grows with B·N·N. No gradient.

    Args:
        boxes: (N, 4) or padded (B, N, 4), xyxy, any unit.
        labels: (N,) or (B, N), class indices; padded rows have -1.
        relations: one resolved relation or several (or `Relation` whose classes are indices).

    Returns:
        int64 (N,) or (B, N): index of the parent within the same picture, -1 where there is none. A child of zero size
        has none: no share of it can be measured.

    Raises:
        ValueError: the shapes do not fit together.
        InputError: a relation names its classes; `resolve` it first.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[165.0, 185, 195, 195], [100, 100, 260, 220], [0, 0, 400, 400]])
        >>> match_parents(boxes, torch.tensor([0, 1, 1]), [ResolvedRelation(0, (1,))])
        tensor([ 1, -1, -1])
    """
    import torch

    shares, areas = _shares(boxes, labels, relations)
    if boxes.shape[-2] == 0:
        return torch.full(labels.shape, -1, dtype=torch.int64, device=boxes.device)
    best = shares.amax(-1, keepdim=True)
    held = best >= HALF
    # An area beyond all floats must still win against boxes that are no parents.
    finite = areas.clamp(max=torch.finfo(areas.dtype).max).unsqueeze(-2)
    candidates = torch.where((shares >= best - ALIKE) & held, finite, math.inf)
    return torch.where(held.squeeze(-1), candidates.argmin(-1), -1)


def ambiguous(boxes: torch.Tensor, labels: torch.Tensor, relations: Indexed) -> torch.Tensor:
    """Tell which children two or more allowed parents hold equally well, so that geometry alone is a guess.

    Args:
        boxes, labels, relations: as in `match_parents`.

    Returns:
        bool (N,) or (B, N).

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[165.0, 185, 195, 195], [100, 100, 260, 220], [0, 0, 400, 400]])
        >>> ambiguous(boxes, torch.tensor([0, 1, 1]), [ResolvedRelation(0, (1,))])
        tensor([ True, False, False])
    """
    import torch

    shares, _ = _shares(boxes, labels, relations)
    if boxes.shape[-2] == 0:
        return torch.zeros(labels.shape, dtype=torch.bool, device=boxes.device)
    best = shares.amax(-1, keepdim=True)
    return ((shares >= best - ALIKE) & (best >= HALF)).sum(-1) > 1


def _shares(boxes: torch.Tensor, labels: torch.Tensor, relations: Indexed) -> tuple[torch.Tensor, torch.Tensor]:
    """Share of box i in box j (..., N, N), -1 where j may not be i's parent or holds under half; areas (..., N)."""
    import torch

    from icr.boxes import area, intersection

    if boxes.shape[-1:] != (4,) or boxes.shape[:-1] != labels.shape or labels.ndim not in (1, 2):
        raise ValueError(
            f"boxes {tuple(boxes.shape)} and labels {tuple(labels.shape)} do not fit; "
            "expected (N, 4) with (N,), or (B, N, 4) with (B, N)"
        )
    with torch.no_grad():
        boxes = boxes if boxes.dtype == torch.float64 else boxes.float()
        areas = area(boxes)
        share = intersection(boxes.unsqueeze(-2), boxes.unsqueeze(-3)) / areas.unsqueeze(-1)
        allowed = torch.zeros(share.shape, dtype=torch.bool, device=boxes.device)
        for child_class, parent_classes in _classes(relations):
            is_parent = labels == parent_classes[0]
            for each in parent_classes[1:]:
                is_parent = is_parent | (labels == each)
            allowed = allowed | ((labels == child_class).unsqueeze(-1) & is_parent.unsqueeze(-2))
        # NaN (a child of zero size, a broken box) compares false, so it never becomes a pair.
        return torch.where(allowed & (share >= HALF), share, -1.0), areas


def _classes(relations: Indexed) -> list[tuple[int, tuple[int, ...]]]:
    found: list[tuple[int, tuple[int, ...]]] = []
    for relation in (relations,) if isinstance(relations, (ResolvedRelation, Relation)) else relations:
        if not isinstance(relation, (ResolvedRelation, Relation)):
            raise InputError(f"a relation is {_kind(relation)}; turn it into indices with icr.relations.resolve first")
        parents = [each for each in relation.parents if isinstance(each, int)]
        if not isinstance(relation.child, int) or len(parents) != len(relation.parents):
            raise InputError(
                f"relation {relation} names its classes; turn names into indices with icr.relations.resolve first"
            )
        found.append((relation.child, tuple(parents)))
    return found


@dataclass(frozen=True)
class Evidence:
    """What the boxes of a data set say about one ordered pair of classes.

    Attributes:
        child, parent: class names.
        children: boxes of the child class.
        inside: share of them, 0..1, that lie at least half inside some box of the parent class in the same picture.
        chance: the same share when the parents are taken from other pictures: what geometry without a relation gives.
        size: median area of a child inside, as a share of its parent's area; 0 when none is inside.
        recommended: whether the evidence is good enough to propose the relation.
    """

    child: str
    parent: str
    children: int
    inside: float
    chance: float
    size: float
    recommended: bool


MIN_CHILDREN, MIN_PICTURES, MIN_INSIDE, MAX_SIZE = 20, 5, 0.9, 0.75
_NULL_PICTURES, _NULL_ROUNDS = 400, 4


def discover(dataset: Dataset) -> list[Evidence]:
    """Weigh every ordered pair of classes as a possible relation, from the geometry of the boxes alone.

    A relation is recommended on good evidence: at least 20 children in 5 pictures, at least 90 % of them at least half
    inside a parent, their median area at most three quarters of the parent's, and clearly more inside than chance: with
    the parents of other pictures in place of their own (positions relative to the picture), at least twice as many must
    be left outside, and the difference must exceed three standard errors over the pictures. Of a chain, only the steps
    are recommended: helmet in rider and rider in motorcycle, but not helmet in motorcycle, which follows from them.

    Returns:
        The pairs with at least one child inside, the recommended ones first, then by share inside, falling.
    """
    inside = _Inside()
    places = array("q")
    every = (sample for split in dataset.splits.values() for sample in split)
    for place, sample in enumerate(every):  # of which none is kept: a set that is skimmed is not in memory
        if len(sample.labels):
            places.append(place)
            relative = _relative(sample)
            inside.add(relative, relative)
    chances = _chances(dataset, places)
    totals, pictures = inside.totals, inside.pictures
    found = []
    for (child, parent), ratios in inside.sizes.items():
        share, chance = len(ratios) / totals[child], chances.get((child, parent), 0.0)
        size = sorted(ratios)[len(ratios) // 2]
        # Children of one picture are not independent, so pictures are what is counted; a chance of exactly 0 or 1 is a
        # matter of few draws.
        spread = math.sqrt(max(chance * (1 - chance), 1 / totals[child]) / pictures[child])
        recommended = (
            totals[child] >= MIN_CHILDREN
            and pictures[child] >= MIN_PICTURES
            and share >= MIN_INSIDE
            and size <= MAX_SIZE
            and (1 - share) <= (1 - chance) / 2
            and share - chance > 3 * spread
        )
        names = dataset.names
        found.append(Evidence(names[child], names[parent], totals[child], share, chance, size, recommended))
    found = _without_shortcuts(found)
    return sorted(found, key=lambda each: (not each.recommended, -each.inside, each.child, each.parent))


def _without_shortcuts(found: Sequence[Evidence]) -> list[Evidence]:
    """Along a chain keep each class in the next one: a helmet in a rider, not in the motorcycle that holds both."""
    direct = {(each.child, each.parent) for each in found if each.recommended}
    between = {each for pair in direct for each in pair}
    return [
        replace(each, recommended=False)
        if any((each.child, middle) in direct and (middle, each.parent) in direct for middle in between)
        else each
        for each in found
    ]


def _relative(sample: Sample) -> _Boxes:
    """Boxes as shares of the picture's sides, so that one picture's can be laid over another's."""
    import torch

    boxes, labels = torch.tensor(sample.boxes), torch.tensor(sample.labels)
    far = boxes.amax(0)
    width, height = sample.width or float(far[2]), sample.height or float(far[3])
    return boxes / boxes.new_tensor([width, height, width, height]).clamp(min=1e-9), labels


class _Inside:
    """Counts, picture by picture, how many children of a class lie at least half inside a parent of another.

    Attributes:
        totals, pictures: by child class: how many there are, and in how many pictures.
        sizes: by child and parent class: the area of each child inside as a share of its parent's.
    """

    def __init__(self) -> None:
        self.totals: Counter[int] = Counter()
        self.pictures: Counter[int] = Counter()
        self.sizes: dict[tuple[int, int], array[float]] = {}

    def add(self, children: _Boxes, parents: _Boxes) -> None:
        """Hold the children of one picture against parents, its own or those of another."""
        import torch

        from icr.boxes import area, intersection

        (low, low_labels), (high, high_labels) = children, parents
        self.totals.update(low_labels.tolist())
        self.pictures.update(set(low_labels.tolist()))
        low_area, high_area = area(low), area(high)
        holds = (intersection(low[:, None], high) >= HALF * low_area[:, None]) & (low_area[:, None] > 0)
        for parent in torch.unique(high_labels).tolist():
            areas = torch.where(holds & (high_labels == parent), high_area, math.inf).amin(1)
            held = areas.isfinite() & (low_labels != parent)
            for child, ratio in zip(low_labels[held].tolist(), (low_area / areas)[held].tolist(), strict=True):
                self.sizes.setdefault((child, parent), array("d")).append(ratio)


def _chances(dataset: Dataset, places: Sequence[int]) -> dict[tuple[int, int], float]:
    """The share of children inside when each picture's parents come from another picture drawn at random.

    Args:
        dataset: the data set.
        places: the places of its pictures that have boxes, counted through its splits.
    """
    from icr.data.remembered import samples_at

    draw = random.Random(0)
    chosen = draw.sample(range(len(places)), min(len(places), _NULL_PICTURES))
    if len(chosen) < 2:
        return {}
    drawn = sorted(chosen)
    boxes = dict(zip(drawn, map(_relative, samples_at(dataset, [places[at] for at in drawn])), strict=True))
    inside = _Inside()
    for _ in range(_NULL_ROUNDS):
        # Turning a shuffled circle by one gives every picture another one's parents.
        draw.shuffle(chosen)
        for own, other in zip(chosen, chosen[1:] + chosen[:1], strict=True):
            inside.add(boxes[own], boxes[other])
    return {(child, parent): len(each) / inside.totals[child] for (child, parent), each in inside.sizes.items()}


@dataclass(frozen=True)
class Chosen:
    """The relations to work with, and a sentence that says where they come from."""

    relations: tuple[Relation, ...]
    said: str


def choose(given: Sequence[str], dataset: Dataset) -> Chosen:
    """Settle the relations of a command: those given, else those the data set declares, else the one that stands out.

    Args:
        given: the values of ``--relation``, maybe none.
        dataset: the data set; its names are what the relations are checked against.

    Raises:
        InputError: a relation is wrong, or none is given or declared and not exactly one stands out.
    """
    if given:
        relations = tuple(Relation.parse(text) for text in given)
        resolve(relations, dataset.names)
        return Chosen(relations, f"{_joined(relations)}, as given by --relation")
    if dataset.relations:
        try:
            resolve(dataset.relations, dataset.names)
        except InputError as error:
            raise InputError(f"{dataset.source}: {error}") from None
        return Chosen(dataset.relations, f"{_joined(dataset.relations)}, as declared by {dataset.source}")
    evidence = discover(dataset)
    clear = [each for each in evidence if each.recommended]
    if len(clear) == 1:
        best = clear[0]
        relation = Relation(best.child, best.parent)
        seen = f"{best.inside:.0%} of {best.children} {best.child} boxes lie in a {best.parent}"
        return Chosen(
            (relation,), f"relation {relation}, found by geometry: {seen} (pass --relation to choose otherwise)"
        )
    if clear:
        several = "; ".join(f"{each.child}:{each.parent} ({each.inside:.0%} inside)" for each in clear[:8])
        raise InputError(
            f"{dataset.source} declares no relation and several stand out: {several}; pass --relation child:parent"
        )
    close = f"; nearest to one is {_told(evidence[0])}" if evidence else ""
    raise InputError(
        f"{dataset.source} declares no relation and none stands out{close}; pass --relation child:parent, "
        f"with classes of {', '.join(dataset.names[:_NAMES_SHOWN])}"
    )


def _joined(relations: Sequence[Relation]) -> str:
    return f"relation{'s' if len(relations) > 1 else ''} {' and '.join(map(str, relations))}"


def _told(evidence: Evidence) -> str:
    return (
        f"{evidence.child}:{evidence.parent}, with {evidence.inside:.0%} of {evidence.children} inside "
        f"and {evidence.chance:.0%} by chance"
    )
