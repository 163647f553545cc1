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
"""Share of byte-identical answers from which a report warns that the sides hardly differ."""


def resolve_side(side: str | Side) -> Side:
    """Return the side that a user named.

    Args:
        side: A name that ``llmops.models.resolve`` accepts, or ``openai:URL#MODEL``; a resolved
            side is returned as it is.

    Raises:
        UsageError: The name has another form.
        NotFoundError: No such version.
    """
    if not isinstance(side, str):
        return side
    if side.startswith(PREFIX):
        return remote_model(side)
    connection.connect()
    return resolve(side)


def with_distinct_labels(sides: Sequence[Side]) -> list[Side]:
    """Return the sides with distinct labels: ``bot/1`` and ``other/1`` instead of ``v1`` twice."""
    uses = Counter(side.label for side in {side.uri: side for side in sides}.values())
    clash = max(uses.values()) > 1

    def relabelled(side: Side) -> Side:
        if uses[side.label] > 1 or (clash and side.adapter_digest is not None):
            return replace(side, label=side.uri.removeprefix("models:/"))
        return side

    return [relabelled(side) for side in sides]


def require_different(sides: Sequence[Side], named: Sequence[str | Side]) -> None:
    """Refuse two sides that are the same bytes: nothing can be learnt from their answers.

    Args:
        sides: The resolved sides.
        named: The names of the sides, in the same order.

    Raises:
        UsageError: Two names stand for the same side, such as an alias and a number, or for two
            versions with the same base and the same adapter.
    """
    known: dict[str, tuple[str, Side]] = {}
    for side, name in zip(sides, named, strict=True):
        text = name if isinstance(name, str) else name.uri
        if side.digest in known:
            other, twin = known[side.digest]
            if text == other:
                what = f"{text} is named twice: there is nothing to compare"
            elif twin.uri == side.uri:
                what = f"{text} and {other} are the same side, {side.uri}: name it once"
            else:
                what = f"{side.uri} and {twin.uri} are the same bytes: there is nothing to compare"
            digests = f"; llmops show {side.uri} prints the digests" if side.base else ""
            raise UsageError(what, next_command=f"name a side with other bytes{digests}")
        known[side.digest] = (text, side)


def notes(baseline: Side, candidate: Side, rows: Sequence[Row]) -> list[str]:
    """Return warnings about two sides that a reader needs before the figures."""
    warnings = [
        f"{side.uri}: identified by URL only; if another model is now served there, cached answers"
        " are stale (use --no-cache)"
        for side in (baseline, candidate)
        if isinstance(side, RemoteModel)
    ]
    if isinstance(baseline, ModelFiles) and isinstance(candidate, ModelFiles):
        warnings += _weights_notes(baseline, candidate)
    same = sum(row.baseline.text == row.candidate.text for row in rows)
    if same >= IDENTICAL_ALARM * len(rows):
        warnings.append(
            f"{same} of {len(rows)} answers are byte-identical although the sides differ"
        )
    return warnings


def _weights_notes(baseline: ModelFiles, candidate: ModelFiles) -> list[str]:
    """Return warnings about the base models and tokenizers of two sides."""
    if baseline.base.digest != candidate.base.digest:
        return [
            f"the sides have different base models ({baseline.base.uri}, {candidate.base.uri}):"
            " their likelihoods are per different tokens and not comparable"
        ]
    if baseline.tokenizer_dir != candidate.tokenizer_dir:
        own = " and ".join(side.label for side in (baseline, candidate) if side.tokenizer_dir)
        return [
            f"{own}: uses its own tokenizer, chat template or generation configuration,"
            " so the sides read different tokens"
        ]
    return []
