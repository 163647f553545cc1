"""`mlflow models predict` and `serve` answer with a version, here and in an environment made for it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import mlflow
import pytest
from servers import BIN, free_port, machine, running
from versions import log_version

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
CHAT = [{"role": "user", "content": "Split a pathname."}]
SAMPLED = {"messages": CHAT, "max_tokens": 5, "seed": 1, "temperature": 1.0}
FRAME = {"columns": ["prompt", "max_tokens"], "data": [["Split a pathname.", 3], ["wrap", None]]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(scope="module")
def env(folder: Path, tiny_model: Path, tiny_adapter: Path) -> Iterator[dict[str, str]]:
    """The environment of a machine whose store holds `models:/bot/1`."""
    with machine(folder, f"sqlite:///{folder}/mlflow.db") as own:
        log_version(tiny_adapter, str(tiny_model), "bot")
        yield own


def text(completion: dict[str, Any]) -> str:
    return str(completion["choices"][0]["message"]["content"])


def predicted(folder: Path, env: dict[str, str], request: dict[str, Any]) -> Any:
    """What `mlflow models predict` writes."""
    (folder / "request.json").write_text(json.dumps(request))
    command = [BIN / "mlflow", "models", "predict", "-m", "models:/bot/1", "--env-manager", "local"]
    done = subprocess.run(
        [*command, "-i", "request.json", "-o", "answer.json"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "answer.json").read_text())


def test_models_predict_answers_a_chat_request_with_one_completion(
    folder: Path, env: dict[str, str]
) -> None:
    done = predicted(folder, env, SAMPLED)
    assert done["object"] == "chat.completion"
    assert done["usage"]["completion_tokens"] == 5
    model = mlflow.pyfunc.load_model("models:/bot/1")
    assert text(done) == text(model.predict(SAMPLED))


def test_models_predict_answers_the_rows_of_a_data_frame(folder: Path, env: dict[str, str]) -> None:
    done = predicted(folder, env, {"dataframe_split": FRAME, "params": {"max_tokens": 6}})
    lengths = [row["usage"]["completion_tokens"] for row in done["predictions"]]
    assert lengths == [3, 6], "a row's own parameter wins over the call's"


@pytest.fixture(scope="module")
def server(folder: Path, env: dict[str, str]) -> Iterator[str]:
    port = free_port()
    command = [str(BIN / "mlflow"), "models", "serve", "-m", "models:/bot/1", "-p", str(port)]
    # `--env-manager local` starts the `uvicorn` that is on PATH: `env` puts ours there.
    command += ["--env-manager", "local"]
    with running(command, folder, f"http://127.0.0.1:{port}/ping", env):
        yield f"http://127.0.0.1:{port}/invocations"


def post(server: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        server, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_a_served_chat_request_gets_one_completion_and_its_parameters_count(server: str) -> None:
    status, done = post(server, SAMPLED)
    assert status == 200
    assert done["object"] == "chat.completion"
    assert done["usage"]["completion_tokens"] == 5
    assert done["choices"][0]["finish_reason"] == "length"
    assert text(post(server, SAMPLED)[1]) == text(done), "the seed repeats the answer"
    assert text(post(server, {**SAMPLED, "seed": 2})[1]) != text(done)
    middle = text(done)[2:4]
    _, stopped = post(server, {**SAMPLED, "stop": [middle]})
    assert text(stopped) == text(done).partition(middle)[0]
    assert stopped["choices"][0]["finish_reason"] == "stop"
    _, three = post(server, {**SAMPLED, "n": 3})
    assert len({choice["message"]["content"] for choice in three["choices"]}) == 3


def test_served_rows_get_a_completion_each(server: str) -> None:
    bodies = [
        {"dataframe_split": FRAME},
        {
            "dataframe_records": [
                {"prompt": "Split a pathname.", "max_tokens": 3},
                {"prompt": "wrap"},
            ]
        },
        {"inputs": [{"messages": CHAT, "max_tokens": 3}, {"prompt": "wrap"}]},
    ]
    expected = None
    for body in bodies:
        status, done = post(server, {**body, "params": {"max_tokens": 6}})
        assert status == 200, body
        texts = [text(row) for row in done["predictions"]]
        lengths = [row["usage"]["completion_tokens"] for row in done["predictions"]]
        assert lengths == [3, 6], body
        expected = expected or texts
        assert texts == expected, body
    for form in ("inputs", "instances"):
        _, done = post(server, {form: ["Split a pathname.", "wrap"], "params": {"max_tokens": 6}})
        assert text(done["predictions"][1]) == expected[1]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"messages": "hi"}, "row 0: messages: must be a non-empty list of"),
        ({"messages": []}, "row 0: messages: must be a non-empty list of"),
        ({"messages": CHAT, "max_tokens": 0}, "row 0: max_tokens: must be a whole number"),
        ({"messages": CHAT, "tools": [{}]}, "row 0: tools: not supported"),
        ({"messages": CHAT, "stream": True}, "stream: predict returns whole answers"),
        ({"messages": CHAT, "max_new_tokens": 3}, "max_new_tokens: not supported (use max_tokens"),
        ({"messages": CHAT, "max_tokens": 5_000}, "the model's context is 512"),
        ({"inputs": [{"prompt": "fine"}, {"id": 5}]}, "row 1: messages: required"),
        ({"inputs": ["a"], "params": {"temperature": "hot"}}, "Can not safely convert"),
        ({"messages": CHAT, "stop": "a"}, "Value must be a 1D array"),
        ({"question": "a"}, "exactly one of the input fields"),
        ([1], "Received a list"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(
    server: str, body: Any, says: str
) -> None:
    status, done = post(server, body)
    assert status == 400
    assert says in done["message"]


PREDICT = """
import json, sys, mlflow
mlflow.models.predict(
    "models:/bot/1", json.loads(sys.argv[1]), env_manager="virtualenv", output_path="answer.json"
)
"""
LINK = """\
#!/bin/sh
# MLflow gives pyenv an empty root each time, so that it would build Python from its sources.
for version; do :; done
mkdir -p "$PYENV_ROOT/versions"
[ -e "$PYENV_ROOT/versions/$version" ] || ln -s "{versions}/$version" "$PYENV_ROOT/versions/$version"
"""


def pyenv_versions() -> Path | str:
    """Where pyenv keeps this Python, or why it does not."""
    if shutil.which("pyenv") is None:
        return "no pyenv on this machine: MLflow makes no virtualenv without it"
    root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False)
    versions = Path(root.stdout.strip()) / "versions"
    wanted = platform.python_version()
    return versions if (versions / wanted).is_dir() else f"pyenv has no Python {wanted}"


@pytest.mark.timeout(1800)
def test_models_predict_in_an_environment_made_of_the_versions_requirements(
    folder: Path, env: dict[str, str], tmp_path: Path
) -> None:
    versions = pyenv_versions()
    if isinstance(versions, str):
        pytest.skip(versions)
    wheels, programs, temporary = (tmp_path / name for name in ("wheels", "bin", "tmp"))
    programs.mkdir()
    temporary.mkdir()
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(wheels)]
    subprocess.run([*build, str(ROOT)], check=True)
    (programs / "pyenv").write_text(LINK.format(versions=versions))
    (programs / "pyenv").chmod(0o755)
    # Other packages come from where pip finds them; ours is on no index yet.
    found = f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    path = f"{programs}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREDICT, json.dumps(SAMPLED)],
        cwd=folder,
        env={**env, "PATH": path, "PIP_FIND_LINKS": found, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert "Successfully installed" in done.stdout
    assert f"mlflow-llmops-{mlflow_llmops_version()}" in done.stdout
    answer = json.loads((folder / "answer.json").read_text())
    here = mlflow.pyfunc.load_model("models:/bot/1").predict(SAMPLED)
    assert text(answer) == text(here)


def mlflow_llmops_version() -> str:
    from importlib.metadata import version

    return version("mlflow-llmops")
