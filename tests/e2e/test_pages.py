"""What MLflow's own pages show of a version that `llmops.log_model` logged, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from browser import CHROMIUM, NO_CHROMIUM, dom
from servers import machine, mlflow_server
from versions import log_version

from llmops import flavor
from llmops.compare import compare
from llmops.gate import audit, gate, record
from llmops.recipe.schema import Compare, Gate, Requirement
from llmops.records import Comparison, ModelVersion
from llmops.store import connection, runs, tags

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
]

RECIPE_DIGEST = "c0ffee" + "0" * 58
DATA_DIGEST = "da7a" + "0" * 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with mlflow_server(folder, "--artifacts-destination", str(folder / "artifacts")) as url:
        yield url


def data(name: str, rows: int) -> Any:
    frame = pd.DataFrame({"prompt": [f"{name} {i}" for i in range(rows)]})
    # With a digest: mlflow 3.17 computes its own in a way that pandas 3 warns of.
    return mlflow.data.from_pandas(frame, source=f"{name}.csv", name=name, digest=f"{rows:08d}")


@pytest.fixture(scope="module")
def logged(
    server: str, folder: Path, tiny_model: Path, tiny_adapter: Path
) -> Iterator[ModelVersion]:
    """A version with all that a training script of one's own can say about it."""
    with machine(folder, server):
        mlflow.set_experiment("support")
        held_out = data("support-test", 40)
        base = flavor.add_base(tiny_model, "tiny")
        with mlflow.start_run(run_name="bot train"):
            mlflow.set_tag("mlflow.source.git.commit", "0123abcd" * 5)
            mlflow.log_params({"learning_rate": 3e-4, "epochs": 2, "curriculum": "easy-first"})
            mlflow.log_input(data("support-train", 400), context="training")
            mlflow.log_metric("train/loss", 0.25)
            version = log_version(
                tiny_adapter,
                base,
                "bot",
                alias="champion",
                params={"reviewer": "ada"},
                tags={
                    tags.RECIPE_DIGEST: RECIPE_DIGEST,
                    tags.DATA_DIGEST: DATA_DIGEST,
                },
            )
            mlflow.log_metric("token_f1", 0.4375, model_id=version.model_id, dataset=held_out)
        connection.client().set_model_version_tag("bot", "1", "owner", "support-team")
        yield version


class Text(HTMLParser):
    """What a page says, in reading order, and where its links lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: dict[str, str] = {}
        self._link: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self._link = dict(attributes).get("href") if tag == "a" else self._link

    def handle_endtag(self, tag: str) -> None:
        self._link = None if tag == "a" else self._link

    def handle_data(self, words: str) -> None:
        if self._link and words.strip():
            self.links[words.strip()] = self._link
        self.words.append(words)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def says(page: Text, *expected: str) -> list[str]:
    """What of the expected a page does not say."""
    return [words for words in expected if words not in page.text]


def made_of(version: ModelVersion) -> tuple[str, ...]:
    """What the description of a version says."""
    return (
        "LoRA r4 on tiny",
        "What it is made of",
        version.base_digest[:12],
        str(version.adapter_digest)[:12],
        "rank 4",
        "support-train (training)",
        DATA_DIGEST[:12],
        RECIPE_DIGEST[:12],
        "0123abcd",
        "learning_rate 0.0003",
        "train/loss 0.25",
    )


def test_the_version_page_says_what_the_version_is_made_of(
    server: str, logged: ModelVersion, folder: Path
) -> None:
    page = Text(dom(f"{server}/#/models/bot/versions/1", folder))
    assert says(page, *made_of(logged)) == []
    assert says(page, "champion", "owner", "support-team", "bot train") == []
    model = f"/models/{logged.model_id}"
    assert any(link.endswith(model) for link in page.links.values()), page.links
    base = next(link for words, link in page.links.items() if words == "base")
    assert says(Text(dom(f"{server}/{base}", folder)), "tiny", logged.base_digest[:12]) == []


def test_the_logged_model_page_shows_figures_data_and_versions(
    server: str, logged: ModelVersion, folder: Path
) -> None:
    experiment = connection.client().get_experiment_by_name("support").experiment_id
    page = Text(dom(f"{server}/#/experiments/{experiment}/models/{logged.model_id}", folder))
    assert says(page, *made_of(logged)) == []
    assert says(page, "reviewer ada") == []
    assert says(page, "token_f1", "0.4375", "support-test (#00000040)") == []
    assert says(page, "Source run bot train", "Model versions bot v1") == []
    assert says(page, "curriculum easy-first") == [], "a parameter of the run"


HOSTILE = "<script>document.title='owned'</script> ￭ \x1b[31mred"


TEMPLATE = "Name the intent of this bank customer's message in one or two words: "


@pytest.fixture(scope="module")
def compared(server: str, logged: ModelVersion, folder: Path) -> Iterator[Comparison]:
    """A comparison of the version with its base; one prompt would like to be a script."""
    path = folder / "suite.jsonl"
    prompts = [*(f"{TEMPLATE}Split {i}." for i in range(11)), HOSTILE]
    rows = [{"id": f"q{i}", "prompt": p, "expected": "Return."} for i, p in enumerate(prompts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with machine(folder, server):
        mlflow.set_experiment("compared")
        yield compare("tiny", logged.uri, path, Compare(max_tokens=6, method="fixed"))


def test_both_sides_of_each_prompt_stand_beside_each_other(
    server: str, compared: Comparison, folder: Path
) -> None:
    before, after = compared.child_run_ids
    place = f"{server}/#/experiments/{compared.experiment_id}/runs"
    raw = dom(f"{place}/{after}/traces?compareToRunUuid={before}", folder, width=2400)
    page = Text(raw)
    assert says(page, *(f"… {i}." for i in range(11))) == []
    # MLflow 3.17 shows ten columns; with tokens, the last of four scores is behind "Columns".
    assert says(page, "likelihood", "one_line", "rouge_l", "Tokens", "Execution") == []
    assert "<script>document.title='owned'" not in raw
    assert "owned</title>" not in raw


def test_the_parent_run_shows_the_differences(
    server: str, compared: Comparison, folder: Path
) -> None:
    run = f"{server}/#/experiments/{compared.experiment_id}/runs/{compared.run_id}"
    page = Text(dom(run, folder))
    assert says(page, "bot/1 vs tiny", "delta/token_f1", "lo/token_f1", "hi/likelihood") == []
    table = dom(f"{run}/artifacts/rows.json", folder)
    assert says(Text(table), "… 3.", "token_f1 change") == []
    assert "<script>document.title='owned'" not in table


def test_row_by_row_shows_what_differs_between_the_prompts_and_what_the_answers_cost(
    server: str, compared: Comparison, folder: Path
) -> None:
    before, after = compared.child_run_ids
    place = f"{server}/#/experiments/{compared.experiment_id}/runs"
    page = Text(dom(f"{place}/{after}/traces?compareToRunUuid={before}", folder))
    assert says(page, "… 3.", "bot/1", "tiny") == []
    assert TEMPLATE not in page.text
    found = connection.client().search_traces(
        locations=[compared.experiment_id], run_id=after, max_results=50
    )
    assert all(trace.info.token_usage["output_tokens"] > 0 for trace in found)
    assert all(trace.info.execution_duration > 0 for trace in found)


def test_a_training_without_a_model_is_no_evaluation(
    server: str, compared: Comparison, folder: Path
) -> None:
    names = {True: "marked train", False: "plain train"}
    with machine(folder, server):
        for marked, name in names.items():
            mlflow.set_experiment("compared")
            with suppress(ZeroDivisionError), mlflow.start_run(run_name=name) as run:
                if marked:
                    runs.mark_as_training(run.info.run_id)
                raise ZeroDivisionError
    page = Text(dom(f"{server}/#/experiments/{compared.experiment_id}/evaluation-runs", folder))
    assert says(page, "bot/1 vs tiny", names[False]) == [], "else the page has changed"
    assert names[True] not in page.text


def test_the_list_of_versions_shows_the_verdict_whole(
    server: str, compared: Comparison, folder: Path
) -> None:
    policy = Gate(require=(Requirement(metric="likelihood", margin=0.9),), min_prompts=2)
    with machine(folder, server):
        decision = gate(compared, policy)
        record(compared, decision)
    page = Text(dom(f"{server}/#/models/bot", folder))
    assert says(page, f"verdict : {decision.verdict}", "versus : tiny", "delta : +0.00 [") == []


def test_the_page_of_a_model_shows_a_champion_without_proof(
    server: str, version: ModelVersion, tiny_model: Path, tiny_adapter: Path, folder: Path
) -> None:
    with machine(folder, server):
        with mlflow.start_run(run_name="by hand"):
            base = flavor.add_base(tiny_model, "tiny")
            log_version(tiny_adapter, base, "by-hand", alias="champion")
        (found,) = audit(["by-hand"], mark=True)
    assert "has no evidence" in found.problem
    page = Text(dom(f"{server}/#/models/by-hand", folder))
    assert says(page, "proof : UNPROVEN") == []


@pytest.mark.parametrize("width", [1280, 768, 500])
def test_the_report_fits_its_window(compared: Comparison, folder: Path, width: int) -> None:
    place = compared.report(folder / "report.html")
    probe = folder / f"probe-{width}.html"
    frame = escape(place.read_text(encoding="utf-8").replace("default-src 'none';", ""))
    script = (
        "f.onload = () => { const d = f.contentDocument; const r = [...d.querySelectorAll('.verdict')]"
        ".map(e => e.getBoundingClientRect().right); document.title ="
        " [d.documentElement.scrollWidth, Math.ceil(Math.max(...r))].join(' ') }"
    )
    probe.write_text(
        f'<iframe id="f" style="width:{width}px;height:900px;border:0" srcdoc="{frame}"></iframe>'
        f"<script>const f = document.getElementById('f'); {script}</script>",
        encoding="utf-8",
    )
    found = re.search(r"<title>(\d+) (\d+)</title>", dom(probe.as_uri(), folder))
    assert found is not None
    page, result = map(int, found.groups())
    assert page <= width
    assert result <= width, "the column that matters is in sight"
