"""The sides of a comparison: versions, bases, and models behind a URL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from llmops.engine.openai.endpoint import PREFIX, remote_model
from llmops.errors import UsageError
from llmops.models.resolve import resolve
from llmops.records import ModelFiles, RemoteModel, Row, Side
from llmops.store import connection

IDENTICAL_ALARM = 0.95
"""Share of byte-identical answers of different adapters above which something may be wrong."""


def resolve_side(side: str | Side) -> Side:
    """Resolve what a person names as a side.

    Args:
        side: A name that ``models.resolve`` reads, or ``openai:URL#MODEL``.

    Raises:
        UsageError: It is written otherwise.
        NotFoundError: No such version.
    """
    if not isinstance(side, str):
        return side
    if side.startswith(PREFIX):
        return remote_model(side)
    connection.connect()
    return resolve(side)


def with_distinct_labels(sides: Sequence[Side]) -> list[Side]:
    """Return the sides with labels that differ: ``bot/1`` and ``other/1`` instead of ``v1`` twice."""
    uses = Counter(side.label for side in {side.uri: side for side in sides}.values())
    clash = max(uses.values()) > 1

    def relabelled(side: Side) -> Side:
        if uses[side.label] > 1 or (clash and side.adapter_digest is not None):
            return replace(side, label=side.uri.removeprefix("models:/"))
        return side

    return [relabelled(side) for side in sides]


def require_different(sides: Sequence[Side], named: Sequence[str | Side]) -> None:
    """Refuse to rank a side beside itself.

    Raises:
        UsageError: Two names, such as an alias and a number, are of one side.
    """
    name_of: dict[str, str] = {}
    for side, name in zip(sides, named, strict=True):
        text = name if isinstance(name, str) else name.uri
        if side.uri in name_of:
            raise UsageError(
                f"{text} and {name_of[side.uri]} are the same side, {side.uri}: name it once"
            )
        name_of[side.uri] = text


def notes(baseline: Side, candidate: Side, rows: Sequence[Row]) -> list[str]:
    """Return what a reader must know of two sides before the numbers."""
    if baseline.digest == candidate.digest:
        return [
            f"{candidate.uri} and {baseline.uri} are the same bytes: there is nothing to compare"
        ]
    found = [
        f"{side.uri}: known by its address alone; what answers there may change, and cached answers"
        " do not tell (--no-cache asks anew)"
        for side in (baseline, candidate)
        if isinstance(side, RemoteModel)
    ]
    if isinstance(baseline, ModelFiles) and isinstance(candidate, ModelFiles):
        found += _weights_notes(baseline, candidate)
    same = sum(row.baseline.text == row.candidate.text for row in rows)
    if same >= IDENTICAL_ALARM * len(rows):
        found.append(f"{same} of {len(rows)} answers are byte-identical although the sides differ")
    return found


def _weights_notes(baseline: ModelFiles, candidate: ModelFiles) -> list[str]:
    """Return what the weights of two sides do not share."""
    if baseline.base.digest != candidate.base.digest:
        return [
            f"the sides have different base models ({baseline.base.uri}, {candidate.base.uri}):"
            " likelihoods per token count different tokens"
        ]
    if baseline.tokenizer_dir != candidate.tokenizer_dir:
        own = " and ".join(side.label for side in (baseline, candidate) if side.tokenizer_dir)
        return [
            f"{own}: a tokenizer, chat template or generation configuration of its own,"
            " so the sides do not read the same tokens"
        ]
    return []
