"""JSON as RFC 8259 defines it, which Python's parser does not insist on."""

from __future__ import annotations

import json
from typing import Any, NoReturn

NOT_JSON = (ValueError, RecursionError)
"""What ``parse`` raises: RFC 8259 is broken, or the nesting is deeper than Python's stack."""


def parse(text: str) -> Any:
    """Return one JSON value; white space around it is allowed.

    Raises:
        ValueError: Not JSON; NaN and infinities, which Python would read, are not.
        RecursionError: Nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
