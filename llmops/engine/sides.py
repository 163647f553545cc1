"""Checks on the sides of an engine: local files, one base model, a known context length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.errors import UsageError
from llmops.records import BaseModel, ModelFiles, Side

CONTEXT_NAMES = ("max_position_embeddings", "max_seq_len", "seq_length")
"""Keys of ``config.json`` that may give the context length in tokens."""


class ApartError(UsageError):
    """Sides of one base that one engine cannot load together, although it could load each alone."""


def files_of(sides: Sequence[Side]) -> list[ModelFiles]:
    """Return the sides, all of which have files on this machine.

    Raises:
        UsageError: A side is a model behind a URL.
    """
    files = [side for side in sides if isinstance(side, ModelFiles)]
    if len(files) < len(sides):
        (remote, *_) = (side for side in sides if not isinstance(side, ModelFiles))
        raise UsageError(f"{remote.uri}: a model behind a URL has no files to load")
    return files


def common_base(sides: Sequence[ModelFiles]) -> BaseModel:
    """Return the base model that all sides share.

    Raises:
        UsageError: The sides have different base models.
    """
    bases = {side.base.digest: side.base for side in sides}
    if len(bases) != 1:
        names = ", ".join(sorted(base.uri for base in bases.values()))
        raise UsageError(
            f"the sides have different base models ({names}): one engine serves one base model"
        )
    (base,) = bases.values()
    return base


def context_of(config: Any, uri: str) -> int:
    """Return a model's context length in tokens, under whichever name its configuration has it.

    Args:
        config: Text configuration from transformers.
        uri: URI of the base model, for the error message.

    Raises:
        UsageError: The configuration does not state the context length.
    """
    for name in CONTEXT_NAMES:
        if isinstance(tokens := getattr(config, name, None), int):
            return tokens
    raise UsageError(
        f"{uri}: its config.json does not state the context length; expected a whole number as"
        f" {', '.join(CONTEXT_NAMES)}",
        next_command=f'write the longest context that you use into config.json: "{CONTEXT_NAMES[0]}": 2048',
    )
