"""Origins: the web pages that may ask a deployment from a browser."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmops.errors import UsageError

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/,?#@*]+")
"""A scheme, a host and perhaps a port, as browsers send it in the header ``Origin``."""
LOOPBACK = re.compile(r"https?://(([a-z0-9-]+\.)*localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?")
"""Origins of pages that come from this machine itself."""


def read(texts: Iterable[str]) -> tuple[str, ...]:
    """Read origins, each text with one of them or several with commas between.

    Args:
        texts: Such as ``https://chat.example.org`` or ``http://localhost:3000,app://notes``.

    Returns:
        The distinct origins in small letters, as browsers send them.

    Raises:
        UsageError: A text is not an origin.
    """
    given = [part.strip() for text in texts for part in text.split(",")]
    for text in given:
        if not ORIGIN.fullmatch(text.lower()):
            raise UsageError(
                f"cors {text!r}: not an origin; allowed: SCHEME://HOST[:PORT] without a path, several"
                f" with commas between{_suggestion(text)}",
                next_command="write it like https://chat.example.org or http://localhost:3000",
            )
    return tuple(dict.fromkeys(text.lower() for text in given))


def _suggestion(text: str) -> str:
    if text == "*":
        return " (`*` would let every page that you open ask the model: name the pages)"
    scheme, _, rest = text.lower().partition("://")
    host = rest.partition("/")[0]
    if host and ORIGIN.fullmatch(near := f"{scheme}://{host}"):
        return f" (did you mean {near}?)"
    return ""
