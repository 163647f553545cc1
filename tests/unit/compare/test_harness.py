from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest
from tiny_models import build_tiny_adapter, build_tiny_model
from versions import log_version

from llmops import flavor
from llmops.compare import compare, compare_all
from llmops.engine.local.engine import LocalEngine
from llmops.errors import DataError, IntegrityError, StoreError, UsageError
from llmops.recipe.schema import Compare
from llmops.store import connection

CONFIG = Compare(max_tokens=6, batch_size=4, method="fixed")
ROWS = [
    {"id": f"q{i}", "prompt": f"Split {i}.", "completion": f"Return {i}.", "group": f"g{i % 5}"}
    for i in range(12)
]


def write_suite(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "test.jsonl", ROWS)


@pytest.fixture
def bot(store: str, tiny_model: Path, tiny_adapter: Path) -> str:
    """A registered version of the tiny model's adapter; its base is registered too."""
    base = flavor.add_base(tiny_model, "tiny")
    with mlflow.start_run():
        return log_version(tiny_adapter, base, "bot").uri


def test_every_row_is_there_and_the_pairs_are_right(bot: str, suite: Path) -> None:
    found = compare("models:/tiny/1", bot, suite, CONFIG)
    assert [row.example.id for row in found.rows] == [row["id"] for row in ROWS]
    assert found.metric("token_f1").test.n == 12
    assert found.metric("token_f1").test.clusters == 5
    for result in found.metrics:
        before = [row.baseline_scores[result.metric] for row in found.rows]
        after = [row.candidate_scores[result.metric] for row in found.rows]
        assert result.test.difference == pytest.approx(sum(after) / 12 - sum(before) / 12)
    assert found.nll[0] != found.nll[1]


def test_mlflow_shows_both_sides_of_every_row(bot: str, suite: Path) -> None:
    found = compare("models:/tiny/1", bot, suite, CONFIG)
    client = connection.client()
    parent = client.get_run(found.run_id)
    assert parent.info.run_name == "bot/1 vs tiny"
    assert {"delta/token_f1", "lo/token_f1", "hi/token_f1", "p/token_f1"} <= set(
        parent.data.metrics
    )
    for child, name in zip(found.child_run_ids, ("tiny", "bot/1"), strict=True):
        run = client.get_run(child)
        assert run.info.run_name == name
        assert run.data.tags["mlflow.parentRunId"] == found.run_id
        table = mlflow.load_table("answers.json", run_ids=[child])
        assert list(table["id"]) == [row["id"] for row in ROWS]
    both = mlflow.load_table("rows.json", run_ids=[found.run_id])
    assert set(both["id"]) == {row["id"] for row in ROWS}
    assert list(both["token_f1 change"]) == sorted(both["token_f1 change"])
    assert {"base", "v1"} <= set(both.columns)


def test_the_report_is_in_the_run_without_a_gate(
    bot: str, suite: Path, tiny_model: Path, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"traces": False})
    one = compare("models:/tiny/1", bot, suite, config)
    page = mlflow.artifacts.load_text(f"runs:/{one.run_id}/report/report.html")
    assert "<h3>Examples</h3>" in page
    assert one.run_id in page
    parameters = connection.client().get_run(one.run_id).data.params
    assert parameters["method"] == "fixed"
    assert parameters["max_tokens"] == "6"
    assert parameters["suite_digest"] == one.suite_digest
    with mlflow.start_run():
        adapter = build_tiny_adapter(tiny_model, tmp_path / "another", seed=5)
        another = log_version(adapter, "tiny", "bot").uri
    two = compare_all("models:/tiny/1", [bot, another], suite, config)
    for found in two:  # each in the run of its candidate
        page = mlflow.artifacts.load_text(f"runs:/{found.child_run_ids[1]}/report/report.html")
        assert found.candidate.adapter_digest in page


def test_every_answer_is_a_trace_of_its_side(bot: str, suite: Path) -> None:
    found = compare("models:/tiny/1", bot, suite, CONFIG)
    for which, child in zip(("baseline", "candidate"), found.child_run_ids, strict=True):
        traces = connection.client().search_traces(
            locations=[found.experiment_id], run_id=child, max_results=100
        )
        said = {trace.info.tags["llmops.example"]: trace for trace in traces}
        assert sorted(said) == sorted(row["id"] for row in ROWS)
        for row in found.rows:
            (span,) = said[row.example.id].data.spans
            assert span.inputs == {"messages": [dict(m) for m in row.example.messages]}
            (choice,) = span.outputs["choices"]
            assert choice["message"]["content"] == getattr(row, which).text
            told = {a.name: a.value for a in said[row.example.id].info.assessments}
            assert told.pop("expected_response") == row.example.expected
            assert told == pytest.approx(getattr(row, f"{which}_scores"), abs=1e-4)
    tables_only = CONFIG.model_copy(update={"traces": False})
    bare = compare("models:/tiny/1", bot, suite, tables_only)
    assert not connection.client().search_traces(
        locations=[bare.experiment_id], run_id=bare.child_run_ids[0]
    )


def test_traces_that_mlflow_lost_are_an_error(
    bot: str, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    kept: list[object] = []
    real = SqlAlchemyStore.start_trace

    def losing(self: SqlAlchemyStore, info: object) -> object:
        kept.append(info)
        return info if len(kept) % 2 else real(self, info)

    monkeypatch.setattr(SqlAlchemyStore, "start_trace", losing)
    monkeypatch.setattr(SqlAlchemyStore, "log_spans", lambda *_: [])  # they make traces, too
    with pytest.raises(StoreError, match="MLflow holds 6 traces, 12 were written"):
        compare("models:/tiny/1", bot, suite, CONFIG)


def test_nothing_is_generated_twice(bot: str, suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generated: list[str] = []
    real = LocalEngine._generate_batch

    def counting(self: LocalEngine, prompts: list[str], sampling: object) -> object:
        if len(generated) >= 8 and not counting.resumed:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        generated.extend(prompts)
        return real(self, prompts, sampling)

    counting.resumed = False  # type: ignore[attr-defined]
    monkeypatch.setattr(LocalEngine, "_generate_batch", counting)
    with pytest.raises(KeyboardInterrupt):
        compare("models:/tiny/1", bot, suite, CONFIG)
    assert len(generated) == 8
    counting.resumed = True  # type: ignore[attr-defined]
    first = compare("models:/tiny/1", bot, suite, CONFIG)
    assert len(generated) == 24, "12 prompts, 2 sides, each once over both sittings"
    again = compare("models:/tiny/1", bot, suite, CONFIG)
    assert len(generated) == 24
    assert again.rows == first.rows
    assert again.metrics == first.metrics


def test_the_same_bytes_are_refused_before_anything_is_generated(
    bot: str, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalEngine, "__init__", pytest.fail)
    with pytest.raises(UsageError, match="models:/bot/1 is named twice"):
        compare(bot, bot, suite, CONFIG)


def test_an_adapter_without_effect_is_an_alarm_not_a_tie(
    bot: str, suite: Path, tiny_model: Path, tmp_path: Path
) -> None:
    # The adapter was not applied, or is empty: both look like "no difference" to a statistic.
    from safetensors.numpy import load_file, save_file

    silent = build_tiny_adapter(tiny_model, tmp_path / "silent", seed=3)
    weights = load_file(silent / "adapter_model.safetensors")
    save_file(
        {name: value * 0 for name, value in weights.items()}, silent / "adapter_model.safetensors"
    )
    with mlflow.start_run():
        version = log_version(silent, "tiny", "silent")
    with pytest.raises(IntegrityError, match="the adapter has no effect"):
        compare("models:/tiny/1", version.uri, suite, CONFIG)


def test_sides_of_different_bases_have_an_engine_each(
    bot: str, suite: Path, tmp_path: Path
) -> None:
    flavor.add_base(build_tiny_model(tmp_path / "second", seed=9), "second")
    found = compare("models:/second/1", bot, suite, CONFIG)
    assert "different base models (models:/second/1, models:/tiny/1)" in found.notes[0]
    alone = compare("models:/tiny/1", bot, suite, CONFIG)
    assert [row.candidate for row in found.rows] == [row.candidate for row in alone.rows]
    assert [row.baseline for row in found.rows] != [row.baseline for row in alone.rows]


def test_a_suite_without_expected_answers_is_refused(bot: str, tmp_path: Path) -> None:
    rows = [{key: row[key] for key in ("id", "prompt")} for row in ROWS]
    with pytest.raises(DataError, match="which 12 of 12 examples lack: 'q0', 'q1', 'q2'"):
        compare("models:/tiny/1", bot, write_suite(tmp_path / "bare.jsonl", rows), CONFIG)


def test_scorers_by_name(bot: str, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "judges.py").write_text(
        "import mlflow\n@mlflow.genai.scorer\ndef short(outputs):\n    return len(outputs) < 9\n"
    )
    names = ["exact", "dotted=regex:[.]", f"mlflow:{tmp_path / 'judges.py'}:short"]
    found = compare("tiny", bot, suite, CONFIG, scorers=names)
    assert [result.metric for result in found.metrics] == ["exact", "dotted", "mlflow_short"]
    for row in found.rows:
        assert row.candidate_scores["dotted"] == float("." in row.candidate.text)
        assert row.candidate_scores["mlflow_short"] == float(len(row.candidate.text) < 9)


def test_a_scorer_that_judges_nothing_makes_no_tie(bot: str, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "judges.py").write_text(
        "import mlflow\n@mlflow.genai.scorer\ndef silent(outputs):\n    return None\n"
    )
    with pytest.raises(UsageError, match="could not judge any answer of either side"):
        compare("tiny", bot, suite, CONFIG, scorers=[f"mlflow:{tmp_path / 'judges.py'}:silent"])


def test_a_comparison_that_may_stop_early_resumes_from_what_was_said(bot: str, suite: Path) -> None:
    whole = compare("tiny", bot, suite, CONFIG)
    config = CONFIG.model_copy(update={"method": "hybrid"})
    early = compare("tiny", bot, suite, config, block=4)
    assert [row.candidate for row in early.rows] == [row.candidate for row in whole.rows]
    assert early.metrics[0].test.low <= early.metrics[0].test.difference
