"""The pushes of a candidate line, as the tags of runs record them."""

from __future__ import annotations

import mlflow
import pytest

from llmops.store import connection, lines


def push(question: str, number: str, line: str = "pr-1", model: str = "bot") -> str:
    tags = {
        "llmops.question": question,
        "llmops.push": number,
        "llmops.line": lines.key(model, line),
    }
    with mlflow.start_run(tags=tags) as run:
        return str(run.info.run_id)


def test_a_line_is_of_one_model_and_one_name(store: str) -> None:
    first, second = push("a" * 64, "1"), push("b" * 64, "2")
    push("a" * 64, "1", line="pr-2")
    push("a" * 64, "1", model="other")
    found = lines.pushes("bot", "pr-1")
    assert [(one.run_id, one.number) for one in found] == [(first, 1), (second, 2)]
    assert [one.question[0] for one in found] == ["a", "b"]
    assert lines.pushes("bot", "pr-3") == ()
    assert len(lines.of_question("a" * 64)) == 3


def test_a_deleted_run_and_a_deleted_experiment_still_count(store: str) -> None:
    run = push("a" * 64, "1")
    elsewhere = mlflow.create_experiment("elsewhere")
    with mlflow.start_run(
        experiment_id=elsewhere,
        tags={"llmops.question": "b" * 64, "llmops.push": "2", "llmops.line": "bot/pr-1"},
    ):
        pass
    connection.client().delete_run(run)
    connection.client().delete_experiment(elsewhere)
    found = lines.pushes("bot", "pr-1")
    assert [(one.number, one.deleted) for one in found] == [(1, True), (2, True)]


def test_what_a_push_came_to(store: str) -> None:
    run = push("a" * 64, "1")
    (found,) = lines.pushes("bot", "pr-1")
    assert found.evidence is None
    lines.write_tag(run, "llmops.evidence", "e" * 64)
    (found,) = lines.pushes("bot", "pr-1")
    assert found.evidence == "e" * 64


@pytest.mark.parametrize("number", ["", "-1", "one", "1.5"])
def test_a_run_without_a_number_took_none(store: str, number: str) -> None:
    push("a" * 64, number)
    assert lines.pushes("bot", "pr-1") == ()


def test_more_runs_than_a_page_are_all_found(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PAGE", 2)
    for number in range(1, 6):
        push("a" * 64, str(number))
    assert [one.number for one in lines.pushes("bot", "pr-1")] == [1, 2, 3, 4, 5]
