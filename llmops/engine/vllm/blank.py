"""An adapter of no effect, for the slot that vLLM on a CPU uses for prompts to the base.

If a batch contains adapters, vLLM computes its prompts to the base model with the last slot
(vllm#48421). A slot stays filled when its adapter is unloaded, until another one needs it. So where
adapters come and go, an adapter of no effect is kept in the last slot.
"""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

from llmops.models import adapters

NAME = "llmops-blank"
"""Name of the adapter in the last slot."""
SECOND = "lora_B"
"""Part of the name of a matrix that makes its adapter one of no effect if it is zero."""


def write(adapter: Path, folder: Path) -> Path:
    """Write a copy of an adapter with no effect; return its folder.

    Args:
        adapter: Folder of an adapter with the modules that others may have.
        folder: Folder to write; what it holds is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copyfile(adapter / adapters.CONFIG, folder / adapters.CONFIG)
    (folder / adapters.WEIGHTS).write_bytes(_zeroed((adapter / adapters.WEIGHTS).read_bytes()))
    return folder


def names(slots: int) -> list[str]:
    """Return the names of the copies that fill the slots behind the first, in this order."""
    return [*(f"{NAME}-{number}" for number in range(1, slots - 1)), NAME]


def _zeroed(data: bytes) -> bytes:
    """Return a safetensors file whose second matrices are zero, which all types write as zero bytes."""
    (length,) = struct.unpack_from("<Q", data)
    begin = 8 + length
    content = bytearray(data)
    for name, tensor in json.loads(data[8:begin]).items():
        if SECOND in name:
            first, last = tensor["data_offsets"]
            content[begin + first : begin + last] = bytes(last - first)
    return bytes(content)
