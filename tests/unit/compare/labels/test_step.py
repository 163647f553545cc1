"""A decision with few human labels, from the command line to MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from chat_servers import Says, replying
from command_line import Command, command_line
from judged import compared as compared_in_store
from labelled import EXPECTED, answer, compared, fill, goodness, human

from llmops.compare import with_human_labels, write_label_sample
from llmops.compare.labels.step import check_labels, label
from llmops.errors import DataError, LlmopsError, NotFoundError, UsageError
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection

PROMPTS, LABELS = 1_000, 100
GOOD = np.random.default_rng(9).binomial(10, [[0.45], [0.55]], (2, PROMPTS))
"""Good words of baseline and candidate in the answer to each prompt."""


@pytest.fixture
def llmops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_line(monkeypatch, capsys)


def server(side: int) -> Says:
    def says(prompt: str) -> tuple[int, object]:
        number = int(prompt.removeprefix("Question ")) if prompt.startswith("Question ") else 0
        message = {"role": "assistant", "content": answer(int(GOOD[side, number]))}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return 200, {"choices": [choice]}

    return says


@pytest.fixture
def command(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A comparison of two servers on 1,000 prompts."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": f"q{i}", "prompt": f"Question {i}", "expected": EXPECTED} for i in range(PROMPTS)
    ]
    Path("suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with ExitStack() as stack:
        urls = [stack.enter_context(replying(server(side))) for side in (0, 1)]
        sides = [f"openai:{url}#m" for url in urls]
        options = ["--scorer", "token_f1", "--method", "fixed", "--no-traces"]
        yield ["compare", *sides, "--suite", "suite.jsonl", *options, "--labels", "labels.csv"]


def test_a_hundred_labels_decide_what_they_alone_decide_less_well(
    llmops: Command, command: list[str]
) -> None:
    written = llmops(*command, "--label-sample", str(LABELS))
    assert written.returncode == 0, written.stderr
    assert "100 prompts to label: labels.csv\n  Next: write one, two or tie" in written.stdout
    refused = llmops(*command)
    assert refused.returncode == 2
    assert "of 100 rows have no preference" in refused.stderr
    again = llmops(*command, "--label-sample", str(LABELS))
    assert again.returncode == 2
    assert "labels.csv: exists" in again.stderr
    assert "leave out --label-sample 100" in again.stderr

    fill(Path("labels.csv"), human(noise=0.9))
    done = llmops(*command, "--output", "json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    found = record["human_labels"]
    width, alone = found["high"] - found["low"], found["alone_high"] - found["alone_low"]
    assert width <= 0.85 * alone
    assert found["effective"] > 1.35 * LABELS
    assert (found["labels"], found["prompts"]) == (LABELS, PROMPTS)
    everybody = human(noise=0.9)
    worth = {"one": 1, "tie": 0, "two": -1}
    truth = np.mean([worth[everybody(answer(b), answer(a))] for a, b in GOOD.T.tolist()])
    # The ports of the servers decide which prompts are drawn: two half-widths, not one.
    assert abs(found["difference"] - truth) <= width

    run = connection.client().get_run(record["run_id"])
    assert run.data.metrics["human_labels/delta"] == pytest.approx(found["difference"], abs=1e-6)
    assert run.data.metrics["human_labels/effective"] == pytest.approx(found["effective"], rel=1e-5)
    assert run.info.status == "FINISHED"
    text = llmops(*command, "--report", "report.html")
    assert text.returncode == 0, text.stderr
    assert "Human labels of 100 of 1,000 prompts:" in text.stdout
    assert "labels and token F1 (PPI++)" in text.stdout
    assert "<h2>Human labels</h2>" in Path("report.html").read_text(encoding="utf-8")
    assert goodness(EXPECTED) == 10


def test_options_that_do_not_fit_are_refused_before_anything_is_generated(
    llmops: Command, command: list[str]
) -> None:
    suite = command.index("--suite")
    fixed = command.index("fixed")
    for arguments, message in (
        ([*command[:-2], "--label-sample", "100"], "add --labels labels.csv"),
        ([*command[:fixed], "hybrid", *command[fixed + 1 :]], "add --method fixed"),
        ([*command[:suite], command[1], *command[suite:]], "takes one candidate, received 2"),
        (command, "--labels labels.csv: no such file"),
        ([*command, "--label-sample", "49"], "49 is not in the range x>=50"),
        ([*command[:-1], "no/labels.csv", "--label-sample", "50"], "its folder does not exist"),
        ([*command[:-1], "labels.txt", "--label-sample", "50"], "allowed: .csv, .jsonl"),
        ([*command[:-1], f"{'x' * 200}.csv", "--label-sample", "50"], "longer than 200 bytes"),
    ):
        refused = llmops(*arguments)
        assert refused.returncode == 2, refused
        assert message in " ".join(refused.stderr.split())
    assert connection.client().search_experiments(filter_string="name = 'llmops-compare'") == []


def test_check_labels_reads_the_file_first(tmp_path: Path) -> None:
    path = write_label_sample(compared(), tmp_path / "labels.jsonl", 60)
    with pytest.raises(DataError, match="60 rows have no preference"):
        check_labels(path, None, candidates=1, method="fixed")
    new = tmp_path / "new.csv"
    assert check_labels(new, 60, candidates=1, method="fixed") == new
    with pytest.raises(NotFoundError, match="no such file"):
        check_labels(new, None, candidates=1, method="fixed")
    with pytest.raises(UsageError, match="exists"):
        write_label_sample(compared(), path, 60)


def test_labels_are_logged_to_the_run_and_its_report(
    version: ModelVersion, base: BaseModel, tmp_path: Path
) -> None:
    made = compared()
    logged = compared_in_store(version.uri, base.uri, shown=made.rows, metrics=made.metrics)
    path = tmp_path / "labels.csv"
    same, text = label(logged, path, 60)
    assert same is logged
    assert "60 prompts to label" in text
    with pytest.raises(LlmopsError, match="no preference"):
        with_human_labels(logged, path)
    fill(path, human())
    labelled, text = label(logged, path, None)
    assert labelled.human_labels is not None
    assert f"as precise as {labelled.human_labels.effective:,.0f} labels alone" in text
    files = connection.client().list_artifacts(logged.run_id, "labels")
    assert [file.path for file in files] == ["labels/labels.csv"]
