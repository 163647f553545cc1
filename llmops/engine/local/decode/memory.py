"""Batches that fit into memory: one that does not is halved, and its size remembered."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from llmops.engine.local.decode.packing import pack
from llmops.errors import LlmopsError

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
        lengths: Sequence[tuple[int, int]],
        work: Callable[[list[int]], list[Result]],
        *,
        rows: int,
        width: int,
    ) -> Iterator[tuple[list[int], list[Result]]]:
        """Computes rows in batches, short ones first.

        Args:
            lengths: Tokens of each row: of the prompt, and what follows it at most.
            work: Computes the rows with these indices.
            rows: Rows in a batch at most.
            width: Tokens of a padded row at most.

        Yields:
            Each batch with its results.

        Raises:
            LlmopsError: A row does not fit into memory even alone.
        """
        pending = self._pack(lengths, range(len(lengths)), rows, width)
        while pending:
            batch = pending.pop(0)
            done = _tried(work, batch)
            if done is not None:
                yield batch, done
                continue
            size = padded_tokens([lengths[i] for i in batch])
            if len(batch) == 1:
                raise LlmopsError(
                    f"a prompt of {lengths[batch[0]][0]} tokens does not fit into memory, not even"
                    f" alone: {size} tokens with its answer",
                    next_command="ask for a shorter answer (max_tokens), load with a smaller dtype"
                    " or quantization='4bit', or free memory",
                )
            self.tokens = min(self.tokens, size) // 2
            rest = [i for later in (batch, *pending) for i in later]
            pending = self._pack(lengths, rest, rows, width)

    def _pack(
        self, lengths: Sequence[tuple[int, int]], indices: Sequence[int], rows: int, width: int
    ) -> list[list[int]]:
        prompts, answers = ([lengths[i][part] for i in indices] for part in (0, 1))
        packed = pack(prompts, answers, rows=rows, width=width, tokens=self.tokens)
        return [[indices[i] for i in batch] for batch in packed]


def padded_tokens(lengths: Sequence[tuple[int, int]]) -> int:
    """Tokens of a batch, padding included."""
    return len(lengths) * (max(p for p, _ in lengths) + max(a for _, a in lengths))


def _tried(work: Callable[[list[int]], list[Result]], batch: list[int]) -> list[Result] | None:
    """The results, or ``None`` if memory ran out; what the attempt held is free again."""
    try:
        return work(batch)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
    gc.collect()  # only now: the exception's frames held the tensors
    _release_cuda()
    return None


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory ran out."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in NO_MEMORY)


def _release_cuda() -> None:
    import torch

    cuda: Any = torch.cuda
    if cuda.is_initialized():
        cuda.empty_cache()
