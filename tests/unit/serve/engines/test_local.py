"""A real worker process: it answers for its versions, refuses others, and dies with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from sides import GREEDY, generate, side_of, write_adapter

from llmops.errors import LlmopsError, ServeError, UsageError
from llmops.records import LoadOptions, ModelFiles
from llmops.records.serving import Served
from llmops.serve.engines import files_json, local
from llmops.serve.engines.local import LocalProcess, root_cause
from llmops.serve.engines.protocol import EngineSettings

pytest.importorskip("torch")
ASKED = {"messages": [{"role": "user", "content": "Split a pathname."}], "max_tokens": 16}


def served(name: str, files: ModelFiles) -> Served:
    return Served(name, files, None)


@pytest.fixture(scope="module")
def sides(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[ModelFiles]:
    """The base, and two versions over it."""
    folder = tmp_path_factory.mktemp("adapters")
    adapters = [write_adapter(tiny_model, folder / f"a{i}", seed=i, rank=4) for i in (1, 2)]
    return [side_of(tiny_model), *(side_of(tiny_model, adapter) for adapter in adapters)]


@pytest.fixture(scope="module")
def worker(
    sides: list[ModelFiles], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalProcess]:
    settings = EngineSettings(folder=tmp_path_factory.mktemp("deployment"))
    with closing(LocalProcess(served("bot@v1", sides[1]), settings)) as worker:
        yield worker


def ask(worker: LocalProcess, model: str, path: str = "/v1/chat/completions") -> httpx.Response:
    headers = {"Authorization": f"Bearer {worker.key}"}
    asked = ASKED | {"model": model}
    return httpx.post(worker.address + path, json=asked, headers=headers, timeout=60)


def test_it_answers_for_each_version_by_its_name(
    worker: LocalProcess, sides: list[ModelFiles]
) -> None:
    from llmops.engine.local.engine import LocalEngine

    worker.check()
    assert worker.kind == "local"
    assert worker.base_digest == sides[0].base.digest
    worker.load(served("bot@v2", sides[2]))
    with closing(LocalEngine(sides, options=LoadOptions(dtype="float32"))) as engine:
        for name, side in zip((worker.base_digest, "bot@v1", "bot@v2"), sides, strict=True):
            reply = ask(worker, name).json()
            (expected,) = generate(engine, side, [ASKED["messages"]], GREEDY)
            assert reply["model"] == name
            assert reply["choices"][0]["message"]["content"] == expected.text
    worker.unload("bot@v2")
    assert ask(worker, "bot@v2").status_code == 404
    with pytest.raises(UsageError, match="not loaded"):
        worker.unload("bot@v2")


def test_a_version_that_does_not_fit_is_refused_and_the_worker_goes_on(
    worker: LocalProcess, sides: list[ModelFiles]
) -> None:
    changed = replace(sides[2], adapter_digest="0" * 64)
    with pytest.raises(LlmopsError, match="the bytes differ"):
        worker.load(served("bot@v3", changed))
    with pytest.raises(UsageError, match="already stands for other bytes"):
        worker.load(served("bot@v1", sides[2]))
    assert ask(worker, "bot@v1").status_code == 200
    assert ask(worker, "bot@v3").status_code == 404
    worker.check()


def test_the_key_is_needed_and_is_in_no_argument(worker: LocalProcess) -> None:
    assert httpx.get(f"{worker.address}/v1/models").status_code == 401
    assert httpx.get(f"{worker.address}/health").status_code == 200
    commands = [psutil.Process(worker.pid).cmdline(), psutil.Process(worker.pid).parent().cmdline()]
    assert "llmops.serve.worker.main" in commands[0]
    assert all(worker.key not in word for command in commands for word in command)
    assert worker.log.stat().st_mode & 0o077 == 0


def test_a_killed_worker_is_an_error_with_its_log(sides: list[ModelFiles], tmp_path: Path) -> None:
    settings = EngineSettings(folder=tmp_path)
    with closing(LocalProcess(served("bot@v1", sides[1]), settings)) as worker:
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(ServeError, match="the worker ended"):
            worker.load(served("bot@v2", sides[2]))
        with pytest.raises(ServeError, match="killed") as caught:
            worker.check()
        assert str(worker.log) in str(caught.value)
    worker.close()


def test_a_worker_that_cannot_start_says_why(sides: list[ModelFiles], tmp_path: Path) -> None:
    broken = replace(sides[1], base=replace(sides[1].base, digest="0" * 64))
    with pytest.raises(ServeError, match="expected digest 0000") as caught:
        LocalProcess(served("bot@v1", broken), EngineSettings(folder=tmp_path))
    assert "Traceback" not in str(caught.value)


OWNER = """
import sys, time
from pathlib import Path
from llmops.records.serving import Served
from llmops.serve.engines.files_json import from_json
from llmops.serve.engines import files_json, local
from llmops.serve.engines.local import LocalProcess
from llmops.serve.engines.protocol import EngineSettings
import json
files = from_json(json.loads(sys.argv[1]))
process = LocalProcess(Served("bot@v1", files, None), EngineSettings(folder=Path(sys.argv[2])))
print(process.pid, flush=True)
time.sleep(600)
"""


def test_it_ends_when_its_owner_is_killed(sides: list[ModelFiles], tmp_path: Path) -> None:
    record = json.dumps(files_json.to_json(sides[1]))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, record, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    worker = psutil.Process(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate()
    gone, alive = psutil.wait_procs([worker], timeout=30)
    assert (len(gone), alive) == (1, [])


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "loading\nerror: the adapter does not fit\nnext: llmops x\n",
            "the adapter does not fit\n",
        ),
        ("Traceback\n  File x\nRuntimeError: no kernel\n", "RuntimeError: no kernel"),
        ("torch.OutOfMemoryError: CUDA out of memory\nbye\n", "torch.OutOfMemoryError: CUDA"),
        ("nothing of note\n", "the end of its log:\n  | nothing of note"),
    ],
)
def test_the_root_cause_of_an_end(log: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(log)
    assert root_cause(tmp_path / "log").startswith(says)


def test_few_logs_of_earlier_processes_are_kept(tmp_path: Path) -> None:
    for _ in range(3 * local.LOGS):
        local.new_log(tmp_path)
    assert len([*tmp_path.glob("engine-local-*.log")]) == local.LOGS + 1
