"""What a gate froze before the first answer, compared with the evidence that it wrote afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmops.errors import IntegrityError, StoreError
from llmops.files import digest
from llmops.store import artifacts
from llmops.store.tags import FROZEN, FROZEN_FILE, LINE, PUSH, QUESTION

KEYS = (
    *("question", "line", "push", "alpha", "policy", "scorers", "settings", "suite"),
    *("candidate", "baseline"),
)
"""Keys of the evidence that were frozen."""
TAMPERED = "TAMPERED"


def is_frozen(tags: Mapping[str, str]) -> bool:
    """Return whether a run bears a tag of the freeze."""
    return any(tag in tags for tag in (FROZEN, QUESTION, LINE, PUSH))


def differences(record: Mapping[str, Any], run_id: str, tags: Mapping[str, str]) -> list[str]:
    """Return which parts of the evidence are not those that were frozen before the first answer.

    Args:
        record: The evidence.
        run_id: Run of the comparison.
        tags: Tags of the run.

    Returns:
        Names of keys, tags and files; nothing if all is as it was frozen, or if evidence and run agree
        that nothing was.
    """
    if not is_frozen(tags) and record.get("question") is None:
        return []
    named = {QUESTION: record.get("question"), PUSH: record.get("push"), LINE: _line(record)}
    wrong = [f"tag {tag}" for tag, value in named.items() if tags.get(tag) != str(value)]
    if record.get("schema_version") == 1:  # no evidence of that format was frozen
        wrong.append("schema_version")
    content = {key: record.get(key) for key in KEYS}
    if _digest(content) != tags.get(FROZEN):
        wrong += _parts(content, run_id, tags)
    return wrong


def refuse_differences(
    record: Mapping[str, Any], run_id: str, tags: Mapping[str, str], where: str
) -> None:
    """Refuse evidence that is not about what was frozen.

    Args:
        record: See ``differences``.
        run_id: See ``differences``.
        tags: See ``differences``.
        where: What the evidence is about, for an error.

    Raises:
        IntegrityError: A part differs; the message names it.
    """
    if wrong := differences(record, run_id, tags):
        raise IntegrityError(
            f"{where}: {TAMPERED}: {', '.join(wrong)} of run {run_id}: not as frozen before the first"
            " answer"
        )


def _line(record: Mapping[str, Any]) -> str:
    """Return what the tag of the line holds: registered model and line."""
    candidate = record.get("candidate")
    uri = str(candidate.get("uri")) if isinstance(candidate, Mapping) else ""
    model = uri.removeprefix("models:/").rpartition("/")[0]
    return f"{model}/{record.get('line')}"


def _parts(content: Mapping[str, Any], run_id: str, tags: Mapping[str, str]) -> list[str]:
    """Return the parts that differ from the frozen record, or why that is no record of the freeze."""
    try:
        frozen = artifacts.read_json(run_id, FROZEN_FILE)
    except (StoreError, IntegrityError):
        return [f"{FROZEN_FILE} (absent or damaged)"]
    if _digest(frozen) != tags.get(FROZEN):
        return [f"{FROZEN_FILE} or tag {FROZEN}"]
    return [key for key in KEYS if content[key] != frozen.get(key)]


def _digest(content: Mapping[str, Any]) -> str | None:
    try:
        return digest.of_record(content)
    except ValueError:  # NaN or infinity
        return None
