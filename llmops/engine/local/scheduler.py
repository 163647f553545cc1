"""Decide which batch is computed when, and with which adapters.

The model has one active adapter at a time, so threads take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from llmops.engine.local.adapters import select
from llmops.engine.local.decode.memory import Budget
from llmops.engine.local.lanes import Lanes
from llmops.engine.local.mixed_adapters import Mixture, UnmixableError
from llmops.engine.requests import Key, Pair, Prompt

Item = TypeVar("Item", Prompt, Pair)
Result = TypeVar("Result")
Work = Callable[[list[Item], Mixture | None], list[Result]]
"""A function that computes a batch in which the items of each adapter are adjacent."""


class Scheduler:
    """Computes batches with one model; threads take turns.

    Args:
        model: A model from transformers or PEFT, not used elsewhere.
        context: Maximum tokens of a padded row.
        resting: The adapter that is active between batches, ``None`` for the base model.

    Attributes:
        mixture: The adapters that can share a batch.
    """

    def __init__(self, model: Any, context: int, resting: str | None) -> None:
        self._lanes = Lanes(model, context)
        self._mixes = True
        self.follow(model, resting)
        self._lock = threading.Lock()
        """Held while the model computes: the active adapter is state of the torch model."""

    def follow(self, model: Any, resting: str | None) -> None:
        """Take over the adapters of a model after some were loaded or removed.

        Args:
            model: The model with its adapters.
            resting: The adapter that is active between batches, ``None`` for the base model.
        """
        self._model, self.mixture = model, Mixture(model)
        self._resting = self._active = resting
        select(model, resting)

    def compute(
        self, items: Sequence[Item], work: Work[Item, Result], budget: Budget, rows: int
    ) -> Generator[tuple[Key, Result]]:
        """Compute items in batches.

        Args:
            items: Prompts or pairs in any order, for any adapters.
            work: Computes a batch.
            budget: Memory budget for this kind of work.
            rows: Maximum number of items in a batch.

        Yields:
            Key and result of each item as soon as its batch is done.

        Raises:
            LlmopsError: An item does not fit into memory even alone.
        """
        for lane, group in self._groups(items):
            width = self._lanes.width(lane)
            yield from budget.batches(
                group, lambda batch: self._batch(batch, work), rows=rows, width=width
            )

    def _groups(self, items: Sequence[Item]) -> list[tuple[Hashable, list[Item]]]:
        """Group the items that may share a batch, each group with its lane."""
        groups: dict[tuple[Hashable, str | None], list[Item]] = {}
        for item in items:
            groups.setdefault(self.group(item), []).append(item)
        return [(lane, group) for (lane, _), group in groups.items()]

    def group(self, item: Prompt | Pair) -> tuple[Hashable, str | None]:
        """Return the group of an item; items of different groups must not share a batch."""
        mixes = self._mixes and self.mixture.can(item.adapter)
        return self._lanes.of(item), None if mixes else item.adapter

    def crosses(self, item: Prompt | Pair) -> bool:
        """Return whether the rotary positions of an item change in its middle; see ``Lanes``."""
        return isinstance(self._lanes.of(item), int)

    def separate(self) -> None:
        """Put each adapter into a group of its own, as the model turned out not to mix them."""
        self._mixes = False

    def _batch(self, batch: list[Item], work: Work[Item, Result]) -> list[tuple[Key, Result]]:
        """Compute a batch, all adapters together unless the model turns out not to allow it."""
        ordered = sorted(batch, key=lambda item: item.adapter or "")
        if self._mixes:
            try:
                return _keyed(ordered, self.in_turn(ordered, work))
            except UnmixableError:
                self.separate()
        sides = [list(items) for _, items in groupby(ordered, key=attrgetter("adapter"))]
        return [pair for items in sides for pair in _keyed(items, self.in_turn(items, work))]

    def in_turn(self, items: list[Item], work: Work[Item, Result]) -> list[Result]:
        """Compute one batch while no other thread computes.

        Args:
            items: One batch, in which the items of each adapter are adjacent.
            work: Computes the batch.
        """
        adapter = items[0].adapter
        mixes = self.mixture.can(adapter)
        with self._lock:
            try:
                if not (mixes and self.mixture.can(self._active)):
                    self.activate(None if mixes else adapter)
                return work(items, self.mixture if mixes else None)
            finally:
                self.activate(self._resting)

    def activate(self, adapter: str | None) -> None:
        """Activate an adapter in PEFT, or none; the caller holds the lock or is the only thread."""
        if adapter != self._active:
            select(self._model, adapter)
            self._active = adapter


def _keyed(items: Sequence[Item], results: Sequence[Result]) -> list[tuple[Key, Result]]:
    return [(item.key, result) for item, result in zip(items, results, strict=True)]
