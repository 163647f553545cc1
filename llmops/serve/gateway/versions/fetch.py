"""Fetch a version: resolve its URI, verify its bytes, and ask for the evidence about them."""

from __future__ import annotations

from collections.abc import Callable

from llmops.errors import LlmopsError, StoreError, UsageError
from llmops.models import versions
from llmops.models.resolve import resolve
from llmops.records import ModelFiles
from llmops.records.serving import Proof, Served, served_name

Fetch = Callable[[str], Served]
Prove = Callable[[ModelFiles], Proof]


def fetcher(prove: Prove, *, allow_unproven: bool) -> Fetch:
    """Return a function that fetches a version by its URI; it blocks.

    Args:
        prove: Returns the evidence about a version, or raises ``LlmopsError`` if there is none.
        allow_unproven: Whether a version without evidence is served.
    """

    def fetch(uri: str) -> Served:
        files = resolve(uri)
        if versions.VERSION.fullmatch(files.uri) is None:
            raise UsageError(
                f"{uri!r}: not a registered version; allowed: models:/NAME/VERSION or"
                " models:/NAME@ALIAS"
            )
        return Served(served_name(files.uri), files, _proof(files))

    def _proof(files: ModelFiles) -> Proof | None:
        try:
            return prove(files)
        except StoreError:
            raise
        except LlmopsError:
            if allow_unproven:
                return None
            raise

    return fetch
