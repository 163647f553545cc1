"""What every engine does that knows its sides, so that one may stand in for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from llmops.engine.local.scheduler import OnBatch
from llmops.engine.requests import Request
from llmops.records import Answer

if TYPE_CHECKING:
    from llmops.engine.local.engine import LocalEngine
    from llmops.engine.vllm.engine import VllmEngine


class Engine(Protocol):
    """A base model with adapters that answers requests to any of them."""

    def generate_many(
        self,
        asked: Sequence[Request],
        *,
        batch_size: int | None = None,
        on_batch: OnBatch[Answer] | None = None,
    ) -> list[Answer]:
        """Answers requests to one side or several.

        Args:
            asked: Each names its side, its conversation and its sampling.
            batch_size: Requests at once at most.
            on_batch: Called with the indices and answers of what is done, in this thread.

        Returns:
            Answers in the order of the requests. One that cannot be given has ``error`` set.
        """
        ...


if TYPE_CHECKING:  # mypy checks here that they all do
    ENGINES: tuple[type[Engine], ...] = (LocalEngine, VllmEngine)
