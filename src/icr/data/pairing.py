"""Pairs for a set that states none: each child's parent where it is plain, a list for a person where it is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.data.formats.folders import relative_names
from icr.data.pairs import children, pair
from icr.data.placement import Placement, placements
from icr.errors import InputError
from icr.relations import ALIKE, HALF, Relation, ResolvedRelation

Place: TypeAlias = tuple[str, str, int]
"""A child: its split, its picture's path below the split, and its place among the picture's boxes, from 0."""

Decisions: TypeAlias = "Mapping[Place, int]"
"""The parent that a person chose for a child, as a place among the picture's boxes, or `NO_PARENT`."""

_Shares: TypeAlias = "npt.NDArray[np.float64]"
_Numbers: TypeAlias = "npt.NDArray[np.int64]"
_Flags: TypeAlias = "npt.NDArray[np.bool_]"

_SMALLEST_SPREAD, _SMALLEST_SIZE_SPREAD = 0.05, 0.1
"""Floors for what is measured on a few children that happen to lie alike."""


@dataclass(frozen=True)
class Candidate:
    """A box that may be a child's parent: its place in the picture, and the share of the child inside it, 0..1."""

    box: int
    share: float


@dataclass(frozen=True)
class Doubt:
    """An ambiguous child, for a person to decide.

    Attributes:
        place: which child it is.
        sample: the picture.
        candidates: who may be its parent.
        suggested: the most likely parent, as a place in the picture; `NO_PARENT` when another child has the better
            claim to each.
    """

    place: Place
    sample: Sample
    candidates: tuple[Candidate, ...]
    suggested: int


@dataclass
class Proposal:
    """What pairing a data set came to.

    Attributes:
        dataset: the same set with its pairs stated; children in doubt stay unstated, so that they are not forgotten.
        doubts: the ambiguous children that nobody has decided.
        pairs, orphans, decided: children paired, left without a parent, and paired or not by a decision.
        kept: children whose parent, or lack of one, the data stated already.
    """

    dataset: Dataset
    doubts: list[Doubt] = field(default_factory=list)
    pairs: int = 0
    orphans: int = 0
    decided: int = 0
    kept: int = 0


def propose(
    dataset: Dataset,
    relations: Sequence[ResolvedRelation],
    *,
    one_to_one: Collection[int] = (),
    decisions: Decisions | None = None,
    guess: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Proposal:
    """Pair the children of a set; what it states stays, what a person decided comes first, geometry does the rest.

    Where a parent can hold many children, each child goes by the rule of `icr.match_parents`: the box that holds most
    of it, of equals the smallest; it is ambiguous when two or more hold it alike. Where a parent can hold one, the
    children of a picture are assigned together (Hungarian method), so that the shares inside add up to the most; among
    equal assignments the one counts whose children lie where children of that class usually lie in their parents. A
    child is then ambiguous when another assignment, as good within a thousandth, gives it another parent or none.

    Args:
        dataset: the set; it is left as it is.
        relations: resolved relations.
        one_to_one: the child classes of which a parent holds one.
        decisions: what a person decided, from `icr.data.decisions.read`.
        guess: state the suggestion for ambiguous children, too.
        progress: told how many pictures are done, of how many.

    Raises:
        InputError: two decisions give one parent two children of a class that is one to one.
    """
    total, done = sum(map(len, dataset.splits.values())), 0
    usual = _usual_placements(dataset, relations) if one_to_one else {}
    proposal = Proposal(dataclasses.replace(dataset, splits={}))
    paired_splits: dict[str, list[Sample]] = {}
    for split, samples in dataset.splits.items():
        paired_splits[split] = paired = []
        for sample, name in zip(samples, relative_names(samples), strict=True):
            picture = _Picture(split, name.as_posix(), sample, relations, frozenset(one_to_one), usual)
            paired.append(picture.paired(decisions or {}, guess, proposal))
            done += 1
            progress(done, total)
    proposal.dataset.splits = paired_splits
    return proposal


def declared(dataset: Dataset, chosen: Sequence[Relation]) -> tuple[Relation, ...]:
    """The relations that a set declares, those chosen in their place or added."""
    mine = {each.child for each in chosen}
    return (*chosen, *(each for each in dataset.relations if each.child not in mine))


@dataclass(frozen=True)
class _Picture:
    split: str
    name: str
    sample: Sample
    relations: Sequence[ResolvedRelation]
    one_to_one: frozenset[int]
    usual: Mapping[tuple[int, int], Placement]

    def paired(self, decisions: Decisions, guess: bool, proposal: Proposal) -> Sample:
        sample, is_child = self.sample, children(self.sample, self.relations)
        parents = sample.parents.copy()
        proposal.kept += int((is_child & (parents != UNSTATED)).sum())
        decided = {
            child: decisions[self.split, self.name, child]
            for child in range(len(parents))
            if (self.split, self.name, child) in decisions
        }
        for child, parent in decided.items():
            self._refuse_taken(child, parent, decided)
            proposal.kept -= int(parents[child] != UNSTATED)
            parents[child] = parent
        proposal.decided += len(decided)
        for child, candidates, suggested in self._settled(parents):
            plain = candidates is None
            if candidates is not None:
                proposal.doubts.append(Doubt((self.split, self.name, child), sample, candidates, suggested))
            if plain or guess:
                parents[child] = suggested
        # A class that no relation makes a child has no parents; left unstated, pairs files would list every vehicle.
        parents[~is_child & (parents == UNSTATED)] = NO_PARENT
        proposal.pairs += int((is_child & (parents >= 0)).sum())
        proposal.orphans += int((is_child & (parents == NO_PARENT)).sum())
        return dataclasses.replace(sample, parents=parents)

    def _refuse_taken(self, child: int, parent: int, decided: Mapping[int, int]) -> None:
        labels = self.sample.labels
        if parent < 0 or labels[child] not in self.one_to_one:
            return
        other = next(each for each in decided if decided[each] == parent and labels[each] == labels[child])
        if other != child:
            raise InputError(
                f"the decisions give box {parent} of {self.name} ({self.split}) to the children {other} and {child}, "
                "but the pairing is one to one; correct one of them, or pair without --one-to-one"
            )

    def _settled(self, parents: _Numbers) -> Iterator[tuple[int, tuple[Candidate, ...] | None, int]]:
        """Each open child with its parent; with the candidates, too, when it is ambiguous."""
        sample = dataclasses.replace(self.sample, parents=parents.copy())
        many = [each for each in self.relations if each.child not in self.one_to_one]
        if many:
            pairing = pair(sample, many)
            for child in np.flatnonzero(children(sample, many) & (parents == UNSTATED)).tolist():
                candidates = self._holders(child, many) if pairing.ambiguous[child] else None
                yield child, candidates, int(pairing.parents[child])
        for relation in self.relations:
            if relation.child in self.one_to_one:
                yield from self._assigned(relation, sample)

    def _holders(self, child: int, relations: Sequence[ResolvedRelation]) -> tuple[Candidate, ...]:
        """The boxes that hold a child equally well."""
        relation = next(each for each in relations if each.child == self.sample.labels[child])
        allowed = np.flatnonzero(np.isin(self.sample.labels, relation.parents))
        shares = shares_inside(self.sample.boxes[[child]], self.sample.boxes[allowed])[0]
        best = shares >= max(float(shares.max()) - ALIKE, HALF)
        return tuple(Candidate(int(box), float(share)) for box, share in zip(allowed[best], shares[best], strict=True))

    def _assigned(
        self, relation: ResolvedRelation, sample: Sample
    ) -> Iterator[tuple[int, tuple[Candidate, ...] | None, int]]:
        mine = sample.labels == relation.child
        open_ = np.flatnonzero(mine & (sample.parents == UNSTATED))
        taken = sample.parents[mine & (sample.parents >= 0)]
        allowed = np.isin(sample.labels, relation.parents)
        allowed[taken] = False
        free = np.flatnonzero(allowed)
        shares = shares_inside(sample.boxes[open_], sample.boxes[free])
        chosen, doubtful = assign(shares, self._likeness(relation.child, open_, free))
        for row, child in enumerate(open_.tolist()):
            parent = int(free[chosen[row]]) if chosen[row] >= 0 else NO_PARENT
            held = np.flatnonzero(shares[row] >= HALF)
            candidates = tuple(Candidate(int(free[each]), float(shares[row, each])) for each in held)
            yield child, candidates if doubtful[row] else None, parent

    def _likeness(self, child: int, rows: _Numbers, columns: _Numbers) -> _Shares:
        """How usual it would be for each child (row) to lie in each parent (column) as it does: 0..1."""
        low, high = self.sample.boxes[columns, :2], self.sample.boxes[columns, 2:]
        sides = np.maximum(high - low, 1e-9)
        middles = (self.sample.boxes[rows, None, :2] + self.sample.boxes[rows, None, 2:]) / 2
        own = np.maximum(self.sample.boxes[rows, 2:] - self.sample.boxes[rows, :2], 1e-9)
        where, size = (middles - low) / sides, np.log(own.prod(1)[:, None] / sides.prod(1))
        found = np.zeros(size.shape)
        for column, label in enumerate(self.sample.labels[columns].tolist()):
            usual = self.usual.get((child, label))
            if usual is not None:
                spread = np.maximum(usual.spread, _SMALLEST_SPREAD)
                away = (((where[:, column] - usual.position) / spread) ** 2).sum(1)
                low_size, median, high_size = np.log(usual.size)
                spread_of_size = max((high_size - low_size) / 1.35, _SMALLEST_SIZE_SPREAD)
                away += ((size[:, column] - median) / spread_of_size) ** 2
                found[:, column] = 1 / (1 + away)
        return found


def shares_inside(small: _Shares, large: _Shares) -> _Shares:
    """The share of each box (N, 4) inside each other box (M, 4), both xyxy: (N, M), 0..1; 0 for boxes of no size.

    Example:
        >>> shares_inside(np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 20, 20], [5, 0, 20, 20]])).tolist()
        [[1.0, 0.5]]
    """
    import torch

    from icr.boxes import containment

    if not len(small) or not len(large):
        return np.zeros((len(small), len(large)))
    pairs = containment(
        torch.tensor(small)[:, None].expand(-1, len(large), 4), torch.tensor(large).expand(len(small), -1, 4)
    )
    return np.asarray(pairs.numpy(), np.float64)


def assign(shares: _Shares, likeness: _Shares) -> tuple[_Numbers, _Flags]:
    """Give each child at most one parent and each parent at most one child; the shares inside add up to the most.

    Args:
        shares: (C, P), the share of each child inside each parent, 0..1; below one half they are no pair.
        likeness: (C, P), 0..1, decides among assignments whose shares differ by less than a thousandth a child.

    Returns:
        The parent of each child, int64 (C,), -1 for none, and whether an assignment as good gives it another one,
        bool (C,).

    Example:
        >>> assign(np.array([[1.0, 1.0], [1.0, 0.0]]), np.zeros((2, 2)))
        (array([1, 0]), array([False, False]))
        >>> assign(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[0.9, 0.1], [0.2, 0.8]]))
        (array([0, 1]), array([ True,  True]))
    """
    worth = np.where(shares >= HALF, shares, 0.0)
    chosen = _best(np.where(shares >= HALF, shares + ALIKE * likeness, 0.0))
    total = _sum(worth, chosen)
    doubtful = np.zeros(len(shares), np.bool_)
    for child in np.flatnonzero((worth > 0).any(1)).tolist():
        other = worth.copy()
        if chosen[child] >= 0:
            other[child, chosen[child]] = 0.0
        else:
            # So much that the best assignment has a place for it, whoever loses his.
            other[child, worth[child] > 0] += len(worth) + 1
        doubtful[child] = _sum(worth, _best(other)) >= total - ALIKE
    return chosen, doubtful


def _best(worth: _Shares) -> _Numbers:
    from scipy.optimize import linear_sum_assignment

    chosen = np.full(len(worth), -1, np.int64)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    paired = worth[rows, columns] > 0
    chosen[rows[paired]] = columns[paired]
    return chosen


def _sum(worth: _Shares, chosen: _Numbers) -> float:
    rows = np.flatnonzero(chosen >= 0)
    return float(worth[rows, chosen[rows]].sum())


def _usual_placements(dataset: Dataset, relations: Sequence[ResolvedRelation]) -> dict[tuple[int, int], Placement]:
    by_name = placements(dataset)
    return {
        (relation.child, parent): by_name[names]
        for relation in relations
        for parent in relation.parents
        if (names := (dataset.names[relation.child], dataset.names[parent])) in by_name
    }
