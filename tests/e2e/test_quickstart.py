"""The smoke recipe on the real base model, through MLflow's own front doors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from browser import CHROMIUM, NO_CHROMIUM, dom
from servers import mlflow_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
RECIPE = ROOT / "recipes" / "quickstart"
# The smoke suite is too small to prove anything; a wide margin lets its version be served.
STRICT, WIDE = "margin: 0.02", "margin: 0.9"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    dropped = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "OMP_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {
        **kept,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "LLMOPS_HOME": str(folder / "home"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
    }


def call(
    folder: Path, environment: dict[str, str], *command: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def outcome(folder: Path, environment: dict[str, str]) -> dict[str, object]:
    passing = folder / "smoke.yaml"
    text = (RECIPE / "smoke.yaml").read_text(encoding="utf-8")
    assert text.count(STRICT) == 1
    passing.write_text(text.replace(STRICT, WIDE), encoding="utf-8")
    done = call(
        folder,
        environment,
        "llmops",
        "run",
        str(passing),
        "--output",
        "json",
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_loop_ends_with_a_served_champion(outcome: dict[str, object]) -> None:
    assert outcome["version"] == "models:/quickstart-smoke/1"
    assert outcome["answer"]
    assert outcome["comparison"]["decision"]["passed"] is True


def test_mlflow_deployments_serve_the_champion(
    outcome: dict[str, object], folder: Path, environment: dict[str, str]
) -> None:
    uri = "models:/quickstart-smoke@champion"
    create = ["mlflow", "deployments", "create", "-t", "llmops", "--name", "bot", "-m", uri]
    done = call(folder, environment, *create)
    assert done.returncode == 0, done.stderr
    (endpoint,) = set(re.findall(r"http://127\.0\.0\.1:\d+", done.stdout + done.stderr))
    try:
        answer = json.load(chat(endpoint))
        assert answer["model"] == "quickstart-smoke@v1"
        text = answer["choices"][0]["message"]["content"]
        events = [
            line[6:]
            for line in chat(endpoint, stream=True).read().decode().splitlines()
            if line.startswith("data: ")
        ]
        assert events[-1] == "[DONE]"
        chunks = [json.loads(event) for event in events[:-1]]
        pieces = [c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]]
        assert "".join(pieces) == text
        assert {chunk["model"] for chunk in chunks} == {"quickstart-smoke@v1"}
        again = call(folder, environment, *create)
        assert again.returncode != 0
        assert "Traceback" not in again.stderr
    finally:
        deleted = call(
            folder, environment, "mlflow", "deployments", "delete", "-t", "llmops", "--name", "bot"
        )
    assert deleted.returncode == 0, deleted.stderr
    assert not [
        p.pid for p in psutil.process_iter(["cmdline"]) if str(folder) in str(p.info["cmdline"])
    ]


def chat(endpoint: str, *, stream: bool = False) -> object:
    body = {
        "model": "bot",
        "messages": [{"role": "user", "content": "def add(a, b):"}],
        "max_tokens": 12,
        "stream": stream,
    }
    request = urllib.request.Request(
        f"{endpoint}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    return urllib.request.urlopen(request, timeout=120)


def test_mlflow_run_runs_the_same_recipe_as_a_project(
    outcome: dict[str, object], folder: Path, environment: dict[str, str]
) -> None:
    done = call(
        folder, environment, "mlflow", "run", str(RECIPE), "-e", "smoke", "--env-manager", "local"
    )
    # The smoke gate may refuse; MLflow then reports the exit code of the recipe, 3 or 4.
    assert done.returncode == 0 or re.search(r"exit code [34]|Run \(ID .*\) failed", done.stderr), (
        done.stderr
    )
    import mlflow

    client = mlflow.MlflowClient(environment["MLFLOW_TRACKING_URI"])
    (version,) = [
        v
        for v in client.search_model_versions("name = 'quickstart-smoke'")
        if v.version == "2" or v.version == 2
    ]
    assert client.get_run(version.run_id).info.run_name == "quickstart-smoke/2 train"


@pytest.fixture
def server(folder: Path, environment: dict[str, str], outcome: dict[str, object]) -> Iterator[str]:
    with mlflow_server(folder, backend=environment["MLFLOW_TRACKING_URI"]) as url:
        yield url


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_the_version_page_shows_why_it_is_champion(
    server: str, outcome: dict[str, object], folder: Path
) -> None:
    page = dom(f"{server}/#/models/quickstart-smoke/versions/1", folder)
    decision = outcome["comparison"]["decision"]
    assert decision["sentence"] in page.replace("&amp;", "&")
    assert "champion" in dom(f"{server}/#/models/quickstart-smoke", folder)
    assert "verdict" in page
    assert decision["evidence_digest"] in page
    assert re.search(r'<img[^>]+src="get-artifact\?path=report/forest\.svg', page)
    links = re.findall(r'href="(get-artifact\?[^"]+|#/experiments/[^"]+)"', page)
    assert len(links) >= 4
    for link in links:
        if link.startswith("get-artifact"):
            with urllib.request.urlopen(f"{server}/{link.replace('&amp;', '&')}") as answer:
                assert answer.status == 200
    shown = {
        link.rpartition("/")[2]: dom(f"{server}/{link}", folder) for link in links if link[0] == "#"
    }
    (side_by_side,) = [text for name, text in shown.items() if "compareToRunUuid" in name]
    assert "Write a one-line docstring" not in side_by_side, "the beginning that all prompts share"
    assert "likelihood" in side_by_side
    assert not [
        name for name, text in shown.items() if "404" in text and "not found" in text.lower()
    ]
