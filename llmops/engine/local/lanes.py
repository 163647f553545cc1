"""Keep rows apart that would change each other's rotary positions in a batch.

With longrope, transformers chooses the rotary frequencies of a whole batch by its longest row. Rows
share a batch here only if each gets the frequencies that it would get alone. (Dynamic NTK scaling does
the same beyond ``max_position_embeddings``, which no row exceeds.)
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from llmops.engine.local.adapters import unwrapped
from llmops.engine.requests import Pair, Prompt

SHORT, LONG = "short", "long"


class Lanes:
    """The groups of rows that may share a batch: all rows, unless the model uses longrope.

    Args:
        model: A model from transformers or PEFT.
        context: Maximum tokens of a padded row.
    """

    def __init__(self, model: Any, context: int) -> None:
        config = unwrapped(model).config.get_text_config()
        self._limits = sorted({_limit(rope, config, context) for rope in _longropes(config)})
        self._context = context

    def of(self, item: Prompt | Pair) -> Hashable:
        """Return the lane of a row; rows of different lanes must not share a batch.

        A row that starts with the short frequencies and ends with the long ones shares a batch only
        with rows of the same length, which change over at the same token.
        """
        if not self._limits:
            return None
        before, after = item.lengths
        at_once = before + after if isinstance(item, Pair) else before
        if before + after <= self._limits[0]:
            return SHORT
        return LONG if at_once > self._limits[-1] else at_once

    def width(self, lane: Hashable) -> int:
        """Return the maximum tokens of a padded row in a lane."""
        return min(self._context, self._limits[0]) if lane == SHORT else self._context


def _longropes(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the longrope settings of a model, of which there may be one for each kind of layer."""
    ropes = getattr(config, "rope_parameters", None) or {}
    for rope in (ropes, *ropes.values()):
        if isinstance(rope, Mapping) and rope.get("rope_type") == "longrope":
            yield rope


def _limit(rope: Mapping[str, Any], config: Any, context: int) -> int:
    """Return the length in tokens above which the long frequencies apply."""
    name = "original_max_position_embeddings"
    return int(rope.get(name) or getattr(config, name, None) or context)
