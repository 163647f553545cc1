"""Strict JSON, as RFC 8259 defines it; Python's parser also accepts NaN and infinities."""

from __future__ import annotations

import json
from typing import Any, NoReturn

NOT_JSON = (ValueError, RecursionError)
"""Exceptions of ``parse``: not RFC 8259, or nested deeper than Python's stack."""


def parse(text: str) -> Any:
    """Parse one JSON value, which may have white space around it.

    Raises:
        ValueError: The text is not JSON, or contains NaN or an infinity.
        RecursionError: The value is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
