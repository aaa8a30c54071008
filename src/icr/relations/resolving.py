"""Relations with their classes as indices into the names of a data set or a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from icr.errors import InputError, nearest
from icr.relations.declaring import DEFAULT_WEIGHT, ClassRef, Declared, Relation, declared

_NAMES_SHOWN = 80


@dataclass(frozen=True)
class ResolvedRelation:
    """A relation with its classes as indices into a list of names."""

    child: int
    parents: tuple[int, ...]
    weight: float = DEFAULT_WEIGHT


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
