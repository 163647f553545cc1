"""``LoadOptions`` as a user writes them: names and values, checked before anything is read.

What is refused here is refused on every machine, so that a version never stores it. Whether this
machine has the GPU or the package is ``loading``'s question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from llmops.errors import UsageError
from llmops.records import LoadOptions

DTYPES = ("auto", "bfloat16", "float16", "float32", "float64")
DEVICE = re.compile(r"auto|cpu|balanced|cuda(:[0-9]{1,3})?")
DEVICES = "auto, cpu, cuda, cuda:N, balanced"
# A closed list: a name with a slash would make transformers fetch code from the hub.
ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
QUANTIZATION = ("8bit", "4bit")


def read(given: Mapping[str, Any], where: str) -> LoadOptions:
    """The options by name; ``None`` leaves the default.

    Args:
        given: Texts, or what says the same: ``torch.bfloat16``, a ``Path``.
        where: What an error names.

    Raises:
        UsageError: A name or a value is unknown.
    """
    allowed = [field.name for field in fields(LoadOptions)]
    unknown = sorted(map(str, set(given) - set(allowed)))
    if unknown:
        raise UsageError(f"{where}: unknown {', '.join(unknown)}; allowed: {', '.join(allowed)}")
    texts = {
        name: str(value).removeprefix("torch.") if name == "dtype" else str(value)
        for name, value in given.items()
        if value is not None
    }
    return check(LoadOptions(**texts))


def check(options: LoadOptions) -> LoadOptions:
    """Returns the options if each value is one that exists.

    Raises:
        UsageError: One is not.
    """
    for name, value, valid, allowed in (
        ("dtype", options.dtype, options.dtype in DTYPES, ", ".join(DTYPES)),
        ("device", options.device, DEVICE.fullmatch(options.device), DEVICES),
        (
            "attention",
            options.attention,
            options.attention in (None, *ATTENTION),
            ", ".join(ATTENTION),
        ),
        (
            "quantization",
            options.quantization,
            options.quantization in (None, *QUANTIZATION),
            ", ".join(QUANTIZATION),
        ),
    ):
        if not valid:
            raise UsageError(f"unknown {name} {value!r}; allowed: {allowed}")
    return options
