"""``LoadOptions`` from a user's names and values, checked before any file is read.

What is refused here is refused on every machine, so that no version stores it. Whether this machine
has the GPU or the package is checked when the model is loaded.
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
# A closed list: for a name with a slash transformers would download code from the hub.
ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
QUANTIZATION = ("8bit", "4bit")


def read(given: Mapping[str, Any], where: str) -> LoadOptions:
    """Return checked options.

    Args:
        given: Values by name: text, or an equivalent such as ``torch.bfloat16`` or a ``Path``;
            ``None`` is the default.
        where: Name of the mapping in an error.

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
    """Return the options if each value is allowed.

    Raises:
        UsageError: A value is unknown.
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
