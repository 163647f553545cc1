"""A judge of pairs as a scorer of a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest
from judge_servers import answer, cut, example, good, serving
from tiny_models import build_tiny_adapter
from versions import log_version

from llmops import flavor
from llmops.compare import compare, compare_all, standings
from llmops.compare.cache import MEMORY, ResultCache
from llmops.compare.scorers.judge.scorer import controls_of, kinship, pairwise
from llmops.compare.scorers.load import load_scorers
from llmops.errors import UsageError
from llmops.recipe.schema import Compare
from llmops.records import JudgeControls, RemoteModel
from llmops.report import standings_table
from llmops.store import connection

CONFIG = Compare(max_tokens=6, method="fixed", traces=False)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "test.jsonl"
    rows = [{"id": f"q{i}", "prompt": f"Split {i}."} for i in range(16)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def two(store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path) -> list[str]:
    base = flavor.add_base(tiny_model, "tiny")
    other = build_tiny_adapter(tiny_model, tmp_path / "other", seed=5)
    with mlflow.start_run():
        return [log_version(adapter, base, "bot").uri for adapter in (tiny_adapter, other)]


def test_a_judge_is_a_metric_with_a_test_and_controls(two: list[str], suite: Path) -> None:
    with serving(good) as served:
        scorers = [f"win=judge:openai:{served.url}#umpire", "regex:[aeiou]"]
        found = compare("tiny", two[0], suite, CONFIG, scorers=scorers)
        asked = len(served.prompts)
        again = compare("tiny", two[0], suite, CONFIG, scorers=scorers)
        assert len(served.prompts) == asked, "what a judge said is kept"
    assert again.metrics == found.metrics
    win = found.metric("win")
    for row in found.rows:  # this judge prefers what is longer
        before, after = (len(text.strip()) for text in (row.baseline.text, row.candidate.text))
        expected = 0.5 if before == after else float(after > before)
        assert row.candidate_scores["win"] == expected == 1 - row.baseline_scores["win"]
    assert win.candidate == pytest.approx(
        sum(row.candidate_scores["win"] for row in found.rows) / len(found.rows)
    )
    assert any(
        note.startswith("win: win rate") and "at equal length" in note for note in found.notes
    )
    metrics = connection.client().get_run(found.run_id).data.metrics
    assert metrics["delta/win"] == pytest.approx(win.test.difference, abs=1e-6)


def test_a_lopsided_win_rate_has_none_at_equal_length() -> None:
    with serving(good) as served, ResultCache(MEMORY) as cache:
        (scorer,) = load_scorers([f"win=judge:openai:{served.url}#umpire"], code=True)
        (judge,) = pairwise([scorer], cache)
        block = [example(i) for i in range(10)]
        judge.score(block, [answer("short")] * 10, [answer("much longer")] * 10)
        notes = " ".join(judge.notes())
        assert controls_of([judge]) == (JudgeControls("win", judge.failures),)
    assert "win: win rate 1.000 (the candidate's answer is longer in 100% of the pairs)" in notes
    assert "no win rate at equal length, which would extrapolate outside 0.2 to 0.8" in notes
    assert "at equal length 1" not in notes


def test_a_judge_that_always_prefers_the_first_decides_nothing(two: list[str], suite: Path) -> None:
    with serving(lambda _: "Verdict: A") as served:
        scorers = [f"judge:openai:{served.url}#umpire"]
        found = compare("tiny", two[0], suite, CONFIG, scorers=scorers)
    (metric,) = found.metrics
    assert metric.metric == "judge_umpire"
    assert (metric.candidate, metric.test.wins, metric.test.losses) == (0.5, 0, 0)
    assert any("prefers the first answer in all " in note for note in found.notes)
    (controls,) = found.judges
    assert controls.metric == "judge_umpire"
    assert controls.failures[0].startswith("umpire prefers the first answer in all ")


@pytest.mark.parametrize("says", [lambda _: "banana", cut, lambda _: None])
def test_a_judge_without_a_verdict_makes_no_ties(two: list[str], suite: Path, says: object) -> None:
    with serving(says) as served:  # type: ignore[arg-type]
        scorers = [f"judge:openai:{served.url}#umpire"]
        with pytest.raises(UsageError, match="gave no verdict on any of"):
            compare("tiny", two[0], suite, CONFIG, scorers=scorers)
    assert not connection.client().search_runs(["0"], "tags.`llmops.kind` = 'ab'")


def test_several_candidates_meet_the_baseline_before_the_judge(two: list[str], suite: Path) -> None:
    with serving(good) as served:
        scorers = [f"win=judge:openai:{served.url}#umpire", "vowel=regex:[aeiou]"]
        together = compare_all("tiny", two, suite, CONFIG, scorers=scorers)
        alone = compare("tiny", two[1], suite, CONFIG, scorers=scorers)
    assert [row.candidate_scores for row in together[1].rows] == [
        row.candidate_scores for row in alone.rows
    ]
    assert all(one.strength is None for one in standings(together))
    shown = standings_table(together, standings(together))
    assert "vowel: in the run of each candidate" in shown


def test_a_registered_version_as_judge_that_cannot_judge(two: list[str], suite: Path) -> None:
    with pytest.raises(UsageError, match="judge models:/bot/2 gave no verdict"):
        compare("tiny", two[0], suite, CONFIG, scorers=[f"judge:{two[1]}"])


def test_a_judge_of_the_sides_own_model_is_told() -> None:
    with serving(good) as served:
        (scorer,) = load_scorers([f"win=judge:openai:{served.url}#umpire"], code=True)
        with ResultCache(MEMORY) as cache:
            judges = pairwise([scorer], cache)
    itself = RemoteModel("umpire", f"openai:{served.url}#umpire", "0")
    other = RemoteModel("bot", f"openai:{served.url}#bot", "1")
    (told,) = kinship(judges, [other, itself])
    assert told.startswith("win: the judge has the same model as umpire;")
    assert kinship(judges, [other]) == ()
