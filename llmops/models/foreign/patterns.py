"""The patterns of module names in an adapter's configuration, tried in the limited process."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from llmops.models.foreign.process import LIMITED

SIMPLE = re.compile(r"[\w\\.^$-]*")
"""A pattern without repetition or alternative matches in no time."""


def check(where: str, config: Any, names: Iterable[str]) -> None:
    """Refuse a configuration of PEFT whose patterns take very long on the modules of a model.

    Args:
        where: Name of the configuration, in an error.
        config: PEFT's configuration of a LoRA adapter.
        names: Names of the model's modules.

    Raises:
        IntegrityError: Matching takes longer than the limit.
    """
    patterns = [pattern for pattern in _patterns(config) if not SIMPLE.fullmatch(pattern)]
    if patterns:
        job = {"kind": "match", "patterns": patterns, "names": list(names)}
        LIMITED.do(f"{where}: a pattern of module names", job)


def _patterns(config: Any) -> list[str]:
    found: list[Any] = [config.target_modules, config.exclude_modules]
    for name in ("layers_pattern", "modules_to_save", "target_parameters"):
        value = getattr(config, name, None)
        found += value if isinstance(value, (list, tuple, set)) else [value]
    found += [*(config.rank_pattern or ()), *(config.alpha_pattern or ())]
    return [pattern for pattern in found if isinstance(pattern, str)]
