"""Candidate lines in MLflow: the runs that drew on one error budget.

The runs' tags are the only record, so every machine that shares a store shares the budgets. A deleted
run still counts: what it showed has been seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmops.store.connection import client, store_errors
from llmops.store.tags import EVIDENCE, LINE, PUSH, QUESTION

PAGE = 1_000
"""Runs in an answer of the store."""


@dataclass(frozen=True)
class Push:
    """A gated comparison of a line.

    Attributes:
        run_id: Its MLflow run.
        question: Digest of what was to be decided.
        number: Number of the push in its line.
        begun: When the run was opened, in milliseconds since 1970.
        evidence: Digest of its evidence; ``None`` if it did not come to a decision.
        deleted: Whether the run lies in the trash.
    """

    run_id: str
    question: str
    number: int
    begun: int
    evidence: str | None
    deleted: bool


def key(model: str, line: str) -> str:
    """Return the value of the tag ``llmops.line``: registered model and line."""
    return f"{model}/{line}"


def pushes(model: str, line: str) -> tuple[Push, ...]:
    """Return the pushes of a line, the oldest first; deleted runs too.

    Args:
        model: Registered model.
        line: Name of the line, without quotation marks.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    return _found(f"tags.`{LINE}` = '{key(model, line)}'")


def of_question(question: str) -> tuple[Push, ...]:
    """Return the pushes of any line that had this question to decide, the oldest first."""
    return _found(f"tags.`{QUESTION}` = '{question}'")


def write_tag(run_id: str, name: str, value: str) -> None:
    """Write a tag of a push."""
    with store_errors(f"run {run_id}"):
        client().set_tag(run_id, name, value)


def _found(condition: str) -> tuple[Push, ...]:
    with store_errors(f"searching for runs with {condition}"):
        found = [_push(run) for run in _runs(condition)]
    return tuple(sorted(filter(None, found), key=lambda push: (push.begun, push.run_id)))


def _runs(condition: str) -> Iterator[Any]:
    from mlflow.entities import ViewType

    own, token = client(), None
    experiments = [one.experiment_id for one in own.search_experiments(view_type=ViewType.ALL)]
    while True:
        page = own.search_runs(experiments, condition, ViewType.ALL, PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _push(run: Any) -> Push | None:
    """Return a run as a push; ``None`` if a tag is missing or no number, so that it took none."""
    tags = run.data.tags
    if not (QUESTION in tags and str(tags.get(PUSH, "")).isdecimal()):
        return None
    return Push(
        run_id=str(run.info.run_id),
        question=tags[QUESTION],
        number=int(tags[PUSH]),
        begun=int(run.info.start_time),
        evidence=tags.get(EVIDENCE),
        deleted=str(run.info.lifecycle_stage) != "active",
    )
