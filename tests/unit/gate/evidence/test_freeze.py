"""What is to be decided stands in MLflow before the first answer, with the number of the push."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from judged import PASSED, REJECTED, case_of, frozen

from llmops.errors import DataError
from llmops.files import digest
from llmops.gate.budget import alpha_of
from llmops.gate.evidence.freeze import Case, freeze, policy_record, side_record, tool_versions
from llmops.gate.promotion.promote import promote
from llmops.models.resolve import resolve
from llmops.recipe.schema import Compare
from llmops.records import ModelVersion
from llmops.store import connection, lines
from llmops.store.tags import FROZEN_FILE


@pytest.fixture
def case(version: ModelVersion, challenger: ModelVersion, tmp_path: Path) -> Case:
    return case_of(challenger.uri, tmp_path, version.uri)


def opened() -> str:
    with mlflow.start_run() as run:
        return str(run.info.run_id)


def tags_of(run_id: str) -> dict[str, str]:
    return dict(connection.client().get_run(run_id).data.tags)


def test_everything_that_decides_is_in_the_run(case: Case) -> None:
    made = freeze(case, run_id := opened())
    tags = tags_of(run_id)
    assert tags["llmops.question"] == case.question
    assert (tags["llmops.line"], tags["llmops.push"]) == ("bot/pr-1", "1")
    written = mlflow.artifacts.load_dict(f"runs:/{run_id}/{FROZEN_FILE}")
    assert written == made.content
    assert tags["llmops.frozen"] == made.digest == digest.of_record(written)
    assert written["candidate"] == side_record(case.candidate)
    assert written["policy"]["digest"] == digest.of_record(PASSED.model_dump(mode="json"))
    assert written["alpha"] == made.budget.alpha_k == alpha_of(PASSED.alpha, 1)
    kept = Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/frozen/suite.jsonl"))
    assert digest.of_file(kept) == case.suite.digest == written["suite"]["digest"]


def test_a_suite_of_no_file_is_kept_as_a_record(case: Case) -> None:
    from llmops.compare import load_suite

    suite = load_suite([{"prompt": "Split it.", "expected": "x"}])  # type: ignore[arg-type]
    freeze(replace(case, suite=suite), run_id := opened())
    written = mlflow.artifacts.load_text(f"runs:/{run_id}/frozen/suite.examples.json")
    assert digest.of_record(json.loads(written)) == suite.digest


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("{}")])
def test_a_suite_that_changed_after_it_was_loaded_is_refused(case: Case, change: Any) -> None:
    assert case.suite.path is not None
    change(case.suite.path)
    with pytest.raises(DataError, match="was changed or removed after it had been loaded"):
        freeze(case, run_id := opened())
    assert "llmops.push" not in tags_of(run_id), "nothing was spent"


def test_the_question_is_about_all_that_decides_and_nothing_else(
    case: Case, third: ModelVersion, tmp_path: Path
) -> None:
    config, other = case.config, resolve(third.uri)
    scorer = {"name": "f1", "spec": "token_f1", "digest": "a" * 64}
    others = [
        replace(case, model="copy"),
        replace(case, candidate=other),
        replace(case, baseline=other),
        replace(case, suite=replace(case.suite, digest="0" * 64)),
        replace(case, policy=REJECTED),
        replace(case, policy=PASSED.model_copy(update={"alpha": 0.1})),
        replace(case, config=config.model_copy(update={"max_tokens": 8})),
        replace(case, config=config.model_copy(update={"method": "fixed"})),
        replace(case, scorers=(scorer,)),
        replace(case, scorers=({**scorer, "digest": "b" * 64},)),
    ]
    assert len({case.question, *(one.question for one in others)}) == len(others) + 1
    same = [
        replace(case, line="pr-2"),
        replace(case, suite=replace(case.suite, name="another", path=None)),
        replace(case, config=Compare(traces=False, batch_size=1, confidence=0.9)),
        replace(case, candidate=replace(case.candidate, uri="models:/bot/9", label="v9")),
    ]
    assert {one.question for one in same} == {case.question}


def test_each_question_of_a_line_is_judged_more_strictly(
    case: Case, third: ModelVersion, tmp_path: Path
) -> None:
    made, _ = frozen(case)
    assert made.frozen is not None
    other = case_of(third.uri, tmp_path, "models:/bot/1")
    second = freeze(other, opened())
    assert second.budget.push == 2
    again = freeze(other, opened())
    assert again.budget == second.budget, "begun and not decided: the same push goes on"
    elsewhere = freeze(replace(other, line="pr-2"), opened())
    assert elsewhere.budget.push == 1
    fresh, decision = frozen(case)
    assert decision.budget is not None
    assert (decision.budget.push, decision.budget.alpha_k) == (3, alpha_of(0.05, 3))
    assert decision.evidence["alpha"] == alpha_of(0.05, 3)
    assert fresh.run_id != made.run_id


def test_a_line_starts_anew_after_a_promotion(
    case: Case, third: ModelVersion, tmp_path: Path
) -> None:
    frozen(case_of(third.uri, tmp_path, "models:/bot/1"))
    frozen(case)
    promote(case.candidate.uri)
    after = freeze(case_of(third.uri, tmp_path, case.candidate.uri), opened())
    assert after.budget.push == 1


def test_the_number_stays_spent_when_its_run_is_deleted(case: Case, third: ModelVersion) -> None:
    made, _ = frozen(case)
    connection.client().delete_run(made.run_id)
    other = replace(case, candidate=resolve(third.uri))
    assert freeze(other, opened()).budget.push == 2


def test_two_machines_do_not_spend_the_same_number(
    case: Case, third: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine, whose lock is its own, takes the number between our reading and writing."""
    real, theirs = lines.pushes, opened()
    reads = 0

    def read(model: str, line: str) -> Any:
        nonlocal reads
        found, reads = real(model, line), reads + 1
        if reads == 1:
            for name, value in (("question", "f" * 64), ("line", "bot/pr-1"), ("push", "1")):
                lines.write_tag(theirs, f"llmops.{name}", value)
        return found

    monkeypatch.setattr(lines, "pushes", read)
    assert freeze(case, run_id := opened()).budget.push == 2
    assert tags_of(run_id)["llmops.push"] == "2"


def test_a_number_that_another_question_has_too_is_given_up(case: Case) -> None:
    """Another machine was killed after it had written the number, before it read it again."""
    killed, theirs = opened(), opened()
    freeze(case, killed)
    for name, value in (("question", "f" * 64), ("line", "bot/pr-1"), ("push", "1")):
        lines.write_tag(theirs, f"llmops.{name}", value)
    assert freeze(case, opened()).budget.push == 2


def test_pushes_at_the_same_time_get_a_number_each(case: Case, tmp_path: Path) -> None:
    cases, runs = [], [opened() for _ in range(4)]
    for i in range(4):
        (folder := tmp_path / str(i)).mkdir()
        cases.append(case_of(case.candidate.uri, folder, case.baseline.uri, prompts=f"Nr {i}."))
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(freeze, cases, runs))
    assert sorted(one.budget.push for one in made) == [1, 2, 3, 4]


def test_a_policy_is_bound_together_with_its_scorers() -> None:
    scorer = {"name": "f1", "spec": "token_f1", "digest": "a" * 64}
    plain, scored = policy_record(PASSED, []), policy_record(PASSED, [scorer])
    assert plain["digest"] == scored["digest"]
    assert plain["bound"] != scored["bound"]


def test_the_tools_are_named_with_their_versions() -> None:
    assert set(tool_versions()) == {"llmops", "mlflow", "torch", "transformers", "peft"}
    assert tool_versions()["mlflow"] == mlflow.__version__
