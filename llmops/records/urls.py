"""Addresses of servers as people write them."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from llmops.errors import UsageError, masked

KEY = "OPENAI_API_KEY"
"""Environment variable with the key for servers of the OpenAI protocol."""


def check_no_credentials(text: str) -> None:
    """Refuse a URL, or a text with one, that contains a user name, a password or a key.

    Names of sides and scorers are parameters of runs and stand in reports, so whoever reads those
    would read the password.

    Raises:
        UsageError: It contains one.
    """
    if masked(text) != text:
        raise UsageError(
            f"{text!r}: a URL must not contain credentials, which parameters and reports would show",
            next_command=f"export {KEY}=…, and write the URL without them",
        )


def without_credentials(url: str) -> str:
    """Return a URL without user name and password, such as for a browser."""
    try:
        parts = urlsplit(url)
        if "@" not in parts.netloc:
            return url
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], *parts[2:]))
    except ValueError:  # such as http://[::1
        return masked(url)
