"""Keep batches within memory: halve a batch that runs out of it, and remember the size."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

from llmops.engine.local.decode.packing import pack
from llmops.errors import LlmopsError


class Sized(Protocol):
    """An item of a batch, whose lengths in tokens are known."""

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the prompt, and maximum tokens after it."""
        ...


Item = TypeVar("Item", bound=Sized)
Result = TypeVar("Result")

FREE_SHARE = 0.5
"""Share of a GPU's free memory for the KV cache: joining rows takes up to twice a layer's cache."""
NO_MEMORY = (
    "DefaultCPUAllocator",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""Parts of torch's messages when the CPU allocator, a BLAS library or C++ runs out of memory."""


class Budget:
    """The maximum number of padded tokens in a batch; lowered whenever memory runs out.

    Args:
        tokens: The initial maximum.

    Attributes:
        tokens: The current maximum.
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
        """Compute items in batches, shortest first.

        Args:
            items: Prompts or pairs.
            work: Computes a batch.
            rows: Maximum number of items in a batch.
            width: Maximum tokens of a padded row.

        Yields:
            The results of ``work``, batch after batch.

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
                raise too_large(batch[0])
            self.tokens = min(self.tokens, size) // 2
            rest = [item for later in (batch, *pending) for item in later]
            pending = self._pack(rest, rows, width)

    def _pack(self, items: Sequence[Item], rows: int, width: int) -> list[list[Item]]:
        prompts, answers = ([item.lengths[part] for item in items] for part in (0, 1))
        packed = pack(prompts, answers, rows=rows, width=width, tokens=self.tokens)
        return [[items[i] for i in batch] for batch in packed]


def too_large(item: Sized) -> LlmopsError:
    """Return the error for an item that does not fit into memory even alone."""
    prompt, answer = item.lengths
    return LlmopsError(
        f"a prompt of {prompt} tokens, {prompt + answer} with its answer, does not fit into memory"
        " even alone",
        next_command="lower max_tokens, load with a smaller dtype or quantization='4bit', or free"
        " memory",
    )


def padded_tokens(lengths: Sequence[tuple[int, int]]) -> int:
    """Return the number of tokens of a batch, padding included.

    Args:
        lengths: Tokens of each prompt, and maximum tokens of its answer.
    """
    return len(lengths) * (max(p for p, _ in lengths) + max(a for _, a in lengths))


def _tried(work: Callable[[list[Item]], list[Result]], batch: list[Item]) -> list[Result] | None:
    """Return the results, or ``None`` if memory ran out; the attempt's memory is then freed."""
    try:
        return work(batch)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
    free()  # only here: the exception's frames keep the tensors alive
    return None


def ran_out(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in NO_MEMORY)


def free() -> None:
    """Free the memory of tensors that are no longer used."""
    import torch

    gc.collect()
    cuda: Any = torch.cuda
    if cuda.is_initialized():
        cuda.empty_cache()


def cache_tokens(config: Any, device: Any, value_bytes: int, least: int) -> int:
    """Return the number of tokens whose keys and values fit into a GPU's free memory.

    Args:
        config: Text configuration from transformers.
        device: Device of the model, as torch has it.
        value_bytes: Bytes of a number in the KV cache.
        least: The result on a CPU, and the smallest one.
    """
    import torch

    heads = getattr(config, "num_attention_heads", None)
    layers = getattr(config, "num_hidden_layers", None)
    if device.type != "cuda" or not heads or not layers:
        return least
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    of_keys = getattr(config, "num_key_value_heads", None) or heads
    available, _ = torch.cuda.mem_get_info(device)
    bytes_per_token: int = 2 * layers * of_keys * size * value_bytes
    return max(least, int(FREE_SHARE * available) // bytes_per_token)
