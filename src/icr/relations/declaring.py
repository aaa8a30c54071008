"""Relations as a user declares them: objects of one class lie inside objects of another (a plate in a vehicle)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from icr.errors import InputError, nearest

ClassRef: TypeAlias = "str | int"
"""A class by name or by index."""

Declared: TypeAlias = "Relation | str | Iterable[Relation | str]"
"""Relations as a user writes them: one or several, each a `Relation` or a text such as ``plate:vehicle``."""

DEFAULT_WEIGHT = 2.5
"""The paper's lambda."""

_FORMS = "'plate:vehicle' or icr.Relation('plate', 'vehicle'), or a list of such"
_KEYS = ("child", "parent", "weight", "one_to_one")


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
        raise InputError(f"relations is {kind_of(several)}; expected {_FORMS}")
    found = []
    for each in several:
        if not isinstance(each, (Relation, str)):
            raise InputError(f"a relation is {kind_of(each)}; expected {_FORMS}")
        found.append(Relation.parse(each) if isinstance(each, str) else each)
    return tuple(found)


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
        raise InputError(f"{where}: relations is {kind_of(block)}; expected a list, as in {form}")
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
        raise InputError(f"found {kind_of(entry)}; expected a child and a parent, as in {form}")
    for key in entry:
        if key not in _KEYS:
            raise InputError(f"unknown key {key!r}; expected {', '.join(_KEYS)}{nearest(str(key), _KEYS)}")
    for key in _KEYS[:2]:
        if entry.get(key) is None:
            raise InputError(f"{key} is missing; expected a child and a parent, as in {form}")
    return Relation(**entry)


def kind_of(value: Any) -> str:
    """Say what was found where a relation was expected."""
    if isinstance(value, Mapping):
        return "a mapping"
    return f"{type(value).__name__} {value!r}"
