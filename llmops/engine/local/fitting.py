"""Some of what is asked cannot be computed, such as a prompt that is too long; the rest is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llmops.engine.local.scheduler import OnBatch
from llmops.errors import UsageError

Item = TypeVar("Item")
Read = TypeVar("Read")
Result = TypeVar("Result")
Other = TypeVar("Other")


def compute_fitting(
    items: Sequence[Item],
    read: Callable[[Item], Read],
    compute: Callable[[list[Read], OnBatch[Result]], list[Result]],
    refused: Callable[[str], Other],
    on_batch: OnBatch[Any] | None,
) -> list[Result | Other]:
    """Computes the items that can be read.

    Args:
        items: Of any kind.
        read: What the model needs of an item; raises ``UsageError`` if it cannot be computed.
        compute: Computes what was read, and tells of each batch.
        refused: Makes a result of the reason, for the others.
        on_batch: Called with indices and results: first of those refused, then of each batch.

    Returns:
        Results in the order of the items.
    """
    good: dict[int, Read] = {}
    found: dict[int, Result | Other] = {}
    for i, item in enumerate(items):
        try:
            good[i] = read(item)
        except UsageError as error:
            found[i] = refused(error.message)
    numbers = list(good)

    def tell(indices: list[int], results: Sequence[Result | Other]) -> None:
        if indices and on_batch is not None:
            on_batch(indices, list(results))

    tell(list(found), list(found.values()))
    done = compute(
        list(good.values()),
        lambda indices, results: tell([numbers[i] for i in indices], results),
    )
    found.update(zip(numbers, done, strict=True))
    return [found[i] for i in range(len(items))]
