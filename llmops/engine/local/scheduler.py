"""Which batch is computed when, and with which adapters: the model has one state at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from llmops.engine.local.adapters import select
from llmops.engine.local.decode.memory import Budget
from llmops.engine.local.mixed_adapters import Mixture, UnmixableError
from llmops.engine.requests import Pair, Prompt

Item = TypeVar("Item", Prompt, Pair)
Result = TypeVar("Result")
OnBatch = Callable[[list[int], list[Result]], None]
"""Called with the indices and results of each finished batch."""
Work = Callable[[list[Item], Mixture | None], list[Result]]
"""Computes a batch whose items of one adapter are neighbours."""


class Scheduler:
    """Lets a model compute batches; threads take turns.

    Args:
        model: Of transformers or PEFT; used by nobody else.
        context: Tokens that a padded row may have.
        resting: The adapter that is active between batches, for whoever looks at the model.
    """

    def __init__(self, model: Any, context: int, resting: str | None) -> None:
        self.mixture = Mixture(model)
        self._model, self._context = model, context
        self._mixes = True
        self._resting = self._active = resting
        select(model, resting)
        self._lock = threading.Lock()
        """Held while the model computes: which adapter is active is state of the torch model."""

    def compute(
        self,
        items: Sequence[Item],
        work: Work[Item, Result],
        budget: Budget,
        rows: int,
        on_batch: OnBatch[Result] | None,
    ) -> list[Result]:
        """Computes items in batches of those that may go together.

        Args:
            items: In any order, for any adapters.
            work: Computes a batch.
            budget: Of the memory that this kind of work needs.
            rows: Items in a batch at most.
            on_batch: Told about each batch.

        Returns:
            Results in the order of the items.

        Raises:
            LlmopsError: An item does not fit into memory even alone.
        """
        results: dict[int, Result] = {}
        for company in self._companies([item.adapter for item in items]):
            members = [items[i] for i in company]
            for batch, done in budget.batches(
                [item.lengths for item in members],
                partial(self._batch, members, work),
                rows=rows,
                width=self._context,
            ):
                indices = [company[i] for i in batch]
                results.update(zip(indices, done, strict=True))
                if on_batch is not None:
                    on_batch(indices, done)
        return [results[i] for i in range(len(items))]

    def _companies(self, adapters: Sequence[str | None]) -> list[list[int]]:
        """Indices of items that may share a batch."""
        found: dict[str | None, list[int]] = {}
        for i, name in enumerate(adapters):
            mixes = self._mixes and self.mixture.can(name)
            found.setdefault(None if mixes else name, []).append(i)
        return list(found.values())

    def _batch(
        self, items: Sequence[Item], work: Work[Item, Result], batch: list[int]
    ) -> list[Result]:
        """Computes a batch, its adapters at once unless the model turns out not to allow it."""
        order = sorted(batch, key=lambda i: items[i].adapter or "")
        if self._mixes:
            try:
                done = self.in_turn([items[i] for i in order], work)
            except UnmixableError:
                self._mixes = False
        if not self._mixes:
            sides = groupby((items[i] for i in order), key=attrgetter("adapter"))
            done = [result for _, rows in sides for result in self.in_turn(list(rows), work)]
        found = dict(zip(order, done, strict=True))
        return [found[i] for i in batch]

    def in_turn(self, items: list[Item], work: Work[Item, Result]) -> list[Result]:
        """Computes one batch while no other thread does."""
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
        """Makes an adapter the one that PEFT computes, or none."""
        if adapter != self._active:
            select(self._model, adapter)
            self._active = adapter
