"""Batches that fit into memory: one that does not is halved, and its size remembered."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

from llmops.engine.local.decode.packing import pack
from llmops.errors import LlmopsError


class Sized(Protocol):
    """What is computed in a batch with others."""

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the prompt, and of what follows it at most."""
        ...


Item = TypeVar("Item", bound=Sized)
Result = TypeVar("Result")

# What torch says when the allocator of the CPU, a BLAS library or C++ itself gets no memory.
NO_MEMORY = (
    "DefaultCPUAllocator",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


class Budget:
    """Padded tokens that are computed at once; learns from failures.

    Args:
        tokens: To begin with.
    """

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def batches(
        self,
        items: Sequence[Item],
        work: Callable[[list[Item]], list[Result]],
        *,
        rows: int,
        width: int,
    ) -> Generator[Result]:
        """Compute items in batches, short ones first.

        Args:
            items: Their lengths are known.
            work: Computes a batch.
            rows: Items in a batch at most.
            width: Tokens of a padded row at most.

        Yields:
            What ``work`` returns, batch after batch.

        Raises:
            LlmopsError: An item does not fit into memory even alone.
        """
        pending = self._pack(items, rows, width)
        while pending:
            batch = pending.pop(0)
            results = _tried(work, batch)
            if results is not None:
                yield from results
                continue
            size = padded_tokens([item.lengths for item in batch])
            if len(batch) == 1:
                raise LlmopsError(
                    f"a prompt of {batch[0].lengths[0]} tokens does not fit into memory, not even"
                    f" alone: {size} tokens with its answer",
                    next_command="ask for a shorter answer (max_tokens), load with a smaller dtype"
                    " or quantization='4bit', or free memory",
                )
            self.tokens = min(self.tokens, size) // 2
            rest = [item for later in (batch, *pending) for item in later]
            pending = self._pack(rest, rows, width)

    def _pack(self, items: Sequence[Item], rows: int, width: int) -> list[list[Item]]:
        prompts, answers = ([item.lengths[part] for item in items] for part in (0, 1))
        packed = pack(prompts, answers, rows=rows, width=width, tokens=self.tokens)
        return [[items[i] for i in batch] for batch in packed]


def padded_tokens(lengths: Sequence[tuple[int, int]]) -> int:
    """Return the tokens of a batch, padding included."""
    return len(lengths) * (max(p for p, _ in lengths) + max(a for _, a in lengths))


def _tried(work: Callable[[list[Item]], list[Result]], batch: list[Item]) -> list[Result] | None:
    """Return the results, or ``None`` if memory ran out; what the attempt held is free again."""
    try:
        return work(batch)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
    gc.collect()  # only now: the exception's frames held the tensors
    _release_cuda()
    return None


def ran_out(error: BaseException) -> bool:
    """Return whether an exception says that memory ran out."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)


def _release_cuda() -> None:
    import torch

    cuda: Any = torch.cuda
    if cuda.is_initialized():
        cuda.empty_cache()
