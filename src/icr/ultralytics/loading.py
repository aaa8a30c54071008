# SPDX-License-Identifier: AGPL-3.0-only
"""Ultralytics' loader of training batches, which can say after an epoch where order and augmentation stand.

Its workers live through the epochs and work ahead, so what they have drawn by the end of an epoch belongs to the next
one in part. Every batch of a worker therefore carries the worker's state right after it; the order of the pictures is
kept by the state of its generator before the pass over them. A loader that takes both up gives the same batches as one
that was never interrupted.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import get_worker_info
from ultralytics.data.build import InfiniteDataLoader

from icr.ultralytics import chance

_WORKER = "icr_worker"


class ContinuedLoader(InfiniteDataLoader):
    """`InfiniteDataLoader` with `standing` and `take_up`; the batches that it gives are the same."""

    taken_up: dict[str, Any] | None
    fresh: bool
    workers: dict[int, bytes]
    next_worker: int
    order: _Order
    worker_init_fn: Any

    def standing(self) -> dict[str, Any]:
        """Where order and augmentation stand, at the end of an epoch."""
        count = self.num_workers
        return {
            "generator": self.generator.get_state(),
            "pass": self.order.begun[-1 - self.order.ahead(len(self))],
            "workers": [_unpacked(self.workers[(self.next_worker + place) % count]) for place in range(count)],
            "buffer": list(self.dataset.buffer),
            "chance": chance.standing(),
        }

    def take_up(self, state: dict[str, Any], fresh: bool) -> None:
        """Go on from what `standing` found, as soon as the next batch is asked for.

        Args:
            state: of a loader over the same pictures with as many workers.
            fresh: whether the loader would have begun anew at this point, as it does when mosaic is switched off.
        """
        self.taken_up, self.fresh = state, fresh

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch."""
        if self.taken_up is not None:
            self._go_on(self.taken_up)
            self.taken_up = None
        for batch in super().__iter__():
            state = batch.pop(_WORKER, None)
            self.order.consumed += 1
            if state is not None:
                worker, packed = state
                self.workers[worker], self.next_worker = packed, (worker + 1) % self.num_workers
            yield batch

    def reset(self) -> None:
        """Begin anew, with new workers and the next order."""
        super().reset()
        self.order.forget()

    def _go_on(self, state: dict[str, Any]) -> None:
        if self.num_workers == 0:
            fill(self.dataset, state["buffer"])
        if self.fresh:
            self.generator.set_state(state["generator"])
        else:
            self.order.follow(state["pass"])
            plain = self.worker_init_fn
            self.worker_init_fn = _Worker(plain, state["workers"])
            self.iterator = self._get_iterator()
            self.worker_init_fn = plain
        # Last, for the workers of a new iterator are started by this process.
        chance.restore(state["chance"])


def continued(loader: InfiniteDataLoader) -> InfiniteDataLoader:
    """Make Ultralytics' loader a `ContinuedLoader` in place, unless it has begun already."""
    if loader.iterator is not None:
        return loader
    loader.__class__ = ContinuedLoader
    loader.taken_up, loader.fresh, loader.workers, loader.next_worker = None, False, {}, 0
    loader.order = _Order(loader.batch_sampler.sampler, loader.generator)
    loader.batch_sampler.sampler = loader.order
    if loader.num_workers:
        loader.collate_fn = _WithState(loader.collate_fn)
    return loader


class _Order:
    """A batch sampler that knows where its generator stood before each pass, and can skip the pass that is over."""

    def __init__(self, sampler: Any, generator: torch.Generator) -> None:
        self.sampler, self.generator = sampler, generator
        self.start: torch.Tensor | None = None
        self.forget()

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[int]]:
        over = self.start is not None
        if self.start is not None:
            self.generator.set_state(self.start)
            self.start = None
        self.begun.append(self.generator.get_state())
        batches = iter(self.sampler)
        if over:
            for _ in range(len(self)):
                next(batches)
            self.consumed = len(self)
        # To the very end: a sampler that shuffles draws once more when it comes to it.
        yield from batches

    def forget(self) -> None:
        """Begin to count anew."""
        self.begun: list[torch.Tensor] = []
        self.consumed = 0

    def ahead(self, batches: int) -> int:
        """Passes begun beyond those that were consumed, for whoever works ahead."""
        return len(self.begun) - self.consumed // batches

    def follow(self, start: torch.Tensor) -> None:
        """Go on after the pass that began with this state of the generator."""
        self.forget()
        self.start = start


class _WithState:
    """Collates in a worker, and has the batch carry the worker's state."""

    def __init__(self, collate: Callable[[list[Any]], dict[str, Any]]) -> None:
        self.collate = collate

    def __call__(self, samples: list[Any]) -> dict[str, Any]:
        batch = self.collate(samples)
        worker = get_worker_info()
        if worker is not None:
            dataset: Any = worker.dataset
            state = {"chance": {**chance.standing(), "cuda": []}, "buffer": list(dataset.buffer)}
            packed = io.BytesIO()
            torch.save(state, packed)
            batch[_WORKER] = (worker.id, packed.getvalue())
        return batch


class _Worker:
    """Starts a worker where another one stopped."""

    def __init__(self, plain: Callable[[int], None] | None, states: list[dict[str, Any]]) -> None:
        self.plain, self.states = plain, states

    def __call__(self, worker: int) -> None:
        if self.plain is not None:
            self.plain(worker)
        info = get_worker_info()
        assert info is not None
        fill(info.dataset, self.states[worker]["buffer"])
        chance.restore(self.states[worker]["chance"])


def fill(dataset: Any, buffer: list[int]) -> None:
    """Bring the pictures that a data set has at hand for mosaics back to these, oldest first."""
    for index in dataset.buffer:
        dataset.ims[index], dataset.im_hw0[index], dataset.im_hw[index] = None, None, None
    augment, dataset.augment = dataset.augment, False  # or each would drive out another
    for index in buffer:
        dataset.ims[index], dataset.im_hw0[index], dataset.im_hw[index] = dataset.load_image(index)
    dataset.augment, dataset.buffer = augment, list(buffer)


def _unpacked(packed: bytes) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(io.BytesIO(packed), weights_only=True)
    return state
