"""How much of a GPU's memory vLLM may take: what is free, less a margin.

vLLM by itself takes 92 %, and does not start as soon as another program uses the card.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, prod

from llmops.engine.vllm.arguments import value
from llmops.engine.vllm.environment import Environment
from llmops.errors import LlmopsError
from llmops.models import safety
from llmops.records import BaseModel

OPTION = "--gpu-memory-utilization"
GIB = 1 << 30
MOST = 0.92
"""Largest share of a card, vLLM's own default."""
MARGIN = 1.5 * GIB
"""Bytes that stay free at least: CUDA itself needs some before vLLM looks."""
MARGIN_SHARE = 0.02
WORKING = 1.0 * GIB
"""Bytes for activations and a few sequences, beside the weights."""
PROBE_SECONDS = 180.0
SMI_SECONDS = 10.0
PARALLEL = (("--tensor-parallel-size", "-tp"), ("--pipeline-parallel-size", "-pp"))
BYTES = {"float32": 4, "float": 4}

_PROBE = """
import json, torch
cards = range(torch.cuda.device_count())
found = [(torch.cuda.get_device_name(i), *torch.cuda.mem_get_info(i)) for i in cards]
print("\\n" + json.dumps(found))
"""


@dataclass(frozen=True)
class Card:
    """A GPU that vLLM's environment can use.

    Attributes:
        name: Such as ``NVIDIA H200``.
        free: Free memory in bytes.
        total: Memory in bytes.
    """

    name: str
    free: int
    total: int


def cards(environment: Environment) -> list[Card]:
    """Return the GPUs that vLLM's environment can use; none for a build for CPUs.

    Raises:
        LlmopsError: The environment's torch fails to ask.
    """
    if environment.cpu:
        return []
    try:
        probed = subprocess.run(
            [environment.python, "-I", "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
        )
        if probed.returncode == 0:
            return [Card(*one) for one in json.loads(probed.stdout.splitlines()[-1])]
        reason = (probed.stderr.strip() or "no output").splitlines()[-1]
    except (OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
        reason = str(error)
    raise LlmopsError(
        f"vLLM: {environment.python} cannot ask for the memory of the GPU: {reason}{_users()}",
        next_command=f"{environment.python} -c 'import torch; print(torch.cuda.mem_get_info())'",
    )


def memory_arguments(
    environment: Environment,
    base: BaseModel,
    dtype: str,
    arguments: Sequence[str],
    share: float | None = None,
) -> list[str]:
    """Return the argument for vLLM's share of the memory; none if the user's arguments have it.

    Args:
        environment: The environment with vLLM.
        base: The model whose weights must fit.
        dtype: Dtype of the weights.
        arguments: The user's further arguments.
        share: The user's share; ``None`` takes it from what is free.

    Raises:
        LlmopsError: Too little memory is free for the weights.
    """
    if value(arguments, OPTION) is not None:
        return []
    if share is not None:
        return [OPTION, f"{share:g}"]
    used = cards(environment)[: _parallel(arguments)]
    if not used:
        return []
    return [OPTION, f"{min(_share(card, base, dtype, len(used)) for card in used):.2f}"]


def weights_bytes(base: BaseModel, dtype: str) -> int:
    """Return the bytes of a model's weights in memory, about: quantised ones as they are stored."""
    files = sorted(base.directory.glob("*.safetensors"))
    stored = sum(file.stat().st_size for file in files)
    if "quantization_config" in safety.read_json(base.directory / safety.CONFIG):
        return stored
    numbers = sum(prod(shape) for file in files for shape in safety.shapes(file).values())
    return numbers * BYTES.get(dtype, 2)


def _share(card: Card, base: BaseModel, dtype: str, number: int) -> float:
    """Return the share of one card, which holds one of ``number`` parts of the model."""
    usable = card.free - max(MARGIN, MARGIN_SHARE * card.total)
    weights = weights_bytes(base, dtype) / number
    if usable < weights + WORKING:
        raise LlmopsError(
            f"vLLM: {card.name} has {_gib(card.free)} of {_gib(card.total)} GiB free; the weights of"
            f" {base.name} need {_gib(weights)} GiB, and vLLM {_gib(MARGIN + WORKING)} GiB more"
            f"{_users()}",
            next_command="end what uses the card, choose another one (CUDA_VISIBLE_DEVICES), or start"
            " each vLLM with a share that leaves room (for a deployment: -C memory=0.4)",
        )
    return min(MOST, floor(100 * usable / card.total) / 100)


def _parallel(arguments: Sequence[str]) -> int:
    """Return the number of GPUs over which the user's arguments spread the model."""
    number = 1
    for names in PARALLEL:
        given = next((found for name in names if (found := value(arguments, name))), "1")
        number *= int(given) if given.isdecimal() else 1
    return number


def _users() -> str:
    """Return which processes use the GPUs, as far as ``nvidia-smi`` says."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = ["--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader"]
    try:
        asked = subprocess.run(
            [program, *query], capture_output=True, text=True, timeout=SMI_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = [line.strip() for line in asked.stdout.splitlines() if line.strip()]
    return f"; in use by: {'; '.join(lines)}" if lines else ""


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}"
