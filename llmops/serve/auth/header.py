"""Keys as HTTP headers carry them: ``Authorization: Bearer KEY``."""

from __future__ import annotations

import hashlib

from llmops.errors import UsageError

LONGEST = 4096
"""Most characters of a key; servers and proxies limit a request's headers."""
MAKE_ONE = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"


def check(key: str, source: str = "LLMOPS_API_KEY") -> str:
    """Return a key if every client can send it.

    Args:
        key: The key.
        source: Where it comes from, for the message, which does not show the key.

    Raises:
        UsageError: It has a blank, a line break, or a character beyond ASCII, which clients encode
            differently or not at all; or it is too long.
    """
    wrong = ""
    if key != key.strip():
        wrong = "begins or ends with a blank or a line break"
    elif not all("!" <= character <= "~" for character in key):
        wrong = "contains a blank, a line break or a character beyond ASCII"
    elif len(key) > LONGEST:
        wrong = f"has {len(key):,} characters; allowed: {LONGEST:,}"
    if wrong:
        raise UsageError(
            f"{source}: the key {wrong}: no HTTP header carries it unchanged",
            next_command=f"export LLMOPS_API_KEY=$({MAKE_ONE})",
        )
    return key


def digest(key: str) -> str:
    """Return the SHA-256 of a key; only that is kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def bearer(header: str | None) -> str | None:
    """Return the key in the value of ``Authorization``; ``None`` if it has another form."""
    scheme, _, key = (header or "").strip().partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None
