"""The relations that a command works with: given, declared by the data, or standing out in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from icr.data.dataset import Dataset
from icr.data.discovery import Evidence, discover
from icr.errors import InputError
from icr.relations import Relation, resolve

_NAMES_SHOWN = 80


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
    if len(dataset.names) == 1:
        raise InputError(
            f"{dataset.source} has one class, {dataset.names[0]}, so there are no pairs; "
            "icr data add-parents fills in parents from a detector"
        )
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
