"""What engines ask of the sides they serve: one base for all, and the length of its context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmops.errors import UsageError
from llmops.records import BaseModel, ModelFiles, Side


def files_of(sides: Sequence[Side]) -> list[ModelFiles]:
    """Return sides whose files are on this machine.

    Raises:
        UsageError: One of them is a model behind a URL.
    """
    files = [side for side in sides if isinstance(side, ModelFiles)]
    if len(files) < len(sides):
        (remote, *_) = (side for side in sides if not isinstance(side, ModelFiles))
        raise UsageError(f"{remote.uri}: a model behind a URL has no files to load")
    return files


def common_base(sides: Sequence[ModelFiles]) -> BaseModel:
    """Return the base of all sides.

    Raises:
        UsageError: They have different ones.
    """
    bases = {side.base.digest: side.base for side in sides}
    if len(bases) != 1:
        names = ", ".join(sorted(base.uri for base in bases.values()))
        raise UsageError(
            f"the sides have different base models ({names}): one engine serves one base"
        )
    (base,) = bases.values()
    return base


def context_of(config: Any, uri: str) -> int:
    """Return the tokens that a model reads at most, by whatever name its configuration has them.

    Args:
        config: Text configuration of transformers.
        uri: Of the base model, for the error.

    Raises:
        UsageError: The configuration does not say.
    """
    for name in ("max_position_embeddings", "max_seq_len", "seq_length"):
        if isinstance(tokens := getattr(config, name, None), int):
            return tokens
    raise UsageError(f"{uri}: its config.json does not say how many tokens the model reads at most")
