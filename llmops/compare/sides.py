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


def side_of(side: str | Side) -> Side:
    """What a person names as a side.

    Args:
        side: As ``engine.resolve`` takes it, or ``openai:URL#MODEL``.

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


def told_apart(sides: Sequence[Side]) -> list[Side]:
    """Sides whose labels differ: ``bot/1`` and ``other/1`` where both would be ``v1``."""
    shared = Counter(one.label for one in {one.uri: one for one in sides}.values())
    crowded = max(shared.values()) > 1

    def labelled(one: Side) -> Side:
        if shared[one.label] > 1 or (crowded and one.adapter_digest is not None):
            return replace(one, label=one.uri.removeprefix("models:/"))
        return one

    return [labelled(one) for one in sides]


def require_different(sides: Sequence[Side], named: Sequence[str | Side]) -> None:
    """Refuses to rank a side beside itself.

    Raises:
        UsageError: Two names, such as an alias and a number, are of one side.
    """
    before: dict[str, str] = {}
    for one, name in zip(sides, named, strict=True):
        text = name if isinstance(name, str) else name.uri
        if one.uri in before:
            raise UsageError(
                f"{text} and {before[one.uri]} are the same side, {one.uri}: name it once"
            )
        before[one.uri] = text


def notes(baseline: Side, candidate: Side, rows: Sequence[Row]) -> list[str]:
    """What a reader must know of two sides before the numbers."""
    if baseline.digest == candidate.digest:
        return [
            f"{candidate.uri} and {baseline.uri} are the same bytes: there is nothing to compare"
        ]
    told = [
        f"{side.uri}: known by its address alone; what answers there may change, and cached answers"
        " do not tell (--no-cache asks anew)"
        for side in (baseline, candidate)
        if isinstance(side, RemoteModel)
    ]
    if isinstance(baseline, ModelFiles) and isinstance(candidate, ModelFiles):
        if baseline.base.digest != candidate.base.digest:
            told.append(
                f"the sides have different base models ({baseline.base.uri}, {candidate.base.uri}):"
                " likelihoods per token count different tokens"
            )
        elif baseline.tokenizer_dir != candidate.tokenizer_dir:
            own = " and ".join(s.label for s in (baseline, candidate) if s.tokenizer_dir)
            told.append(
                f"{own}: a tokenizer, chat template or generation configuration of its own,"
                " so the sides do not read the same tokens"
            )
    same = sum(row.baseline.text == row.candidate.text for row in rows)
    if same >= IDENTICAL_ALARM * len(rows):
        told.append(f"{same} of {len(rows)} answers are byte-identical although the sides differ")
    return told
