"""Answers that would like to act: shown in terminal, report and MLflow, and lost nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
from judge_servers import serving

from llmops import flavor
from llmops.compare import compare
from llmops.recipe.schema import Compare
from llmops.report import comparison_table

HOSTILE = {
    "script": "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "ansi": "\x1b[2J\x1b[31mred\x1b[0m\x07 \x9b31m\r\nGate: PASSED 9/9",
    "megabyte": "<b>word</b> & " * 75_000,
    "one word": "x" * 1_000_000,
    "hidden": "safe\u202etxt.exe\u2066 \u0000 \ufffe",
    "half": "half of a pair: \ud800",
    "rows": "| a | b |\n|---|---|\n# Title\n[link](javascript:alert(1))",
    "empty": "",
}


def test_nothing_acts_and_nothing_is_lost(store: str, tiny_model: Path, tmp_path: Path) -> None:
    flavor.add_base(tiny_model, "tiny")
    mlflow.set_experiment("hostile")
    suite = tmp_path / "suite.jsonl"
    rows = [{"id": f"q-{kind}", "prompt": kind, "expected": "Return it."} for kind in HOSTILE]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with serving(HOSTILE.__getitem__) as server:
        uri = f"openai:{server.url}#bot"
        config = Compare(max_tokens=4, method="fixed")
        found = compare("tiny", uri, suite, config, scorers=["token_f1", "regex:o"])
    assert [row.candidate.error for row in found.rows] == [None] * len(HOSTILE)

    shown = comparison_table(found)
    assert all(line.isprintable() for line in shown.splitlines())
    assert "Gate: PASSED" not in shown

    page = mlflow.artifacts.load_text(f"runs:/{found.run_id}/report/report.html")
    assert len(page.encode()) < 2_000_000
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page

    client = mlflow.MlflowClient()
    for run_id in found.child_run_ids:
        assert len(mlflow.load_table("answers.json", run_ids=[run_id])) == len(HOSTILE)
        traces = client.search_traces(
            locations=[found.experiment_id], run_id=run_id, max_results=50
        )
        assert len(traces) == len(HOSTILE)
    table = mlflow.load_table("answers.json", run_ids=[found.child_run_ids[1]])
    kept = dict(zip(table["id"], table["answer"], strict=True))
    assert kept["q-megabyte"] == HOSTILE["megabyte"]
    assert kept["q-script"] == HOSTILE["script"]
