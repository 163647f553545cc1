"""A real vLLM on a CPU: what it answers, and that nothing of it is left. `make vllm` runs this."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from engine_contract import CASES, Subject, counted, whole
from sides import CONVERSATIONS, GREEDY, answer_all, generate, side_of, write_adapter

from llmops.engine import Request
from llmops.engine.local.engine import LocalEngine
from llmops.engine.openai.endpoint import Endpoint, remote_model
from llmops.engine.openai.engine import HttpEngine
from llmops.engine.vllm import VllmEngine
from llmops.errors import LlmopsError, ServeError, UsageError
from llmops.records import LoadOptions, ModelFiles, Sampling

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(400)]

OWNER = """
import sys
from pathlib import Path
from sides import side_of
from llmops.engine.vllm import VllmEngine
python, base = map(Path, sys.argv[1:])
VllmEngine([side_of(base)], python)
"""
SECONDS = 120.0


@pytest.fixture(scope="module")
def engine(
    python: Path, sides: list[ModelFiles], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmEngine]:
    """One server for the module: the base, two adapters, and room for one of rank 12."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOPS_HOME", str(tmp_path_factory.mktemp("home")))
        began = time.monotonic()
        engine = VllmEngine(sides[:3], python, room=1, rank=12)
    print(f"\nvLLM {engine.version}: up after {time.monotonic() - began:.0f} s")
    log, server = engine.log, processes(engine)
    yield engine
    began = time.monotonic()
    engine.close()
    print(f"\nvLLM: down after {time.monotonic() - began:.1f} s")
    assert len(server) > 2, "a guard, the server, and its own processes"
    _, alive = psutil.wait_procs(server, timeout=10)
    assert not alive
    assert not log.exists()


@pytest.fixture(scope="module")
def local(sides: list[ModelFiles]) -> LocalEngine:
    return LocalEngine(sides, options=LoadOptions(dtype="float32", device="cpu"))


def processes(engine: VllmEngine) -> list[psutil.Process]:
    """The guard and all below it."""
    guard = psutil.Process(engine._server._guard.pid)
    return [guard, *guard.children(recursive=True)]


def asked_of(sides: list[ModelFiles], sampling: Sampling = GREEDY) -> list[Request]:
    """Every conversation of every side, those of one side never together."""
    return [Request(side, messages, sampling) for messages in CONVERSATIONS for side in sides]


def test_sides_in_one_batch_answer_like_the_local_engine(
    engine: VllmEngine, local: LocalEngine, sides: list[ModelFiles]
) -> None:
    began = time.monotonic()
    engine.load_adapter(sides[3])
    print(f"\nan adapter loaded in {time.monotonic() - began:.2f} s")
    asked = asked_of(sides)
    answers = answer_all(engine, asked)
    expected = answer_all(local, asked)
    same = sum(whole(ours) == whole(theirs) for ours, theirs in zip(answers, expected, strict=True))
    print(f"greedy float32 answers that are the same: {same} of {len(asked)}")
    assert same >= 0.9 * len(asked)
    assert len({answer.text for answer in expected}) > 0.7 * len(asked), "sides differ"
    for ours, theirs in zip(answers, expected, strict=True):
        assert ours.prompt_tokens == theirs.prompt_tokens
        assert ours.error is None
    assert answer_all(engine, asked, batch_size=1) == answers


@pytest.fixture(scope="module")
def subject(
    engine: VllmEngine, local: LocalEngine, sides: list[ModelFiles], python: Path
) -> Subject:
    return Subject(
        engine=engine,
        side=sides[1],
        files=sides[1],
        reference=local,
        fresh=lambda: VllmEngine([sides[1]], python),
        count=counted(engine, "_ask", lambda _: 1),
        agreement=0.9,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_contract(subject: Subject, case: Callable[[Subject], None]) -> None:
    case(subject)


def test_adapters_that_cannot_come_later(
    engine: VllmEngine, sides: list[ModelFiles], folder: Path, tmp_path: Path
) -> None:
    engine.load_adapter(sides[3])  # is there already, or takes the only room
    high = side_of(folder, write_adapter(folder, tmp_path / "high", seed=5, rank=24))
    with pytest.raises(UsageError, match="has rank 24; this server takes rank 16 at most"):
        engine.load_adapter(high)
    fourth = side_of(folder, write_adapter(folder, tmp_path / "fourth", seed=6, rank=4))
    with pytest.raises(UsageError, match="no room"):
        engine.load_adapter(fourth)
    other = replace(fourth, base=replace(fourth.base, digest="0" * 64))
    with pytest.raises(UsageError, match="different base models"):
        engine.load_adapter(other)
    with pytest.raises(UsageError, match="has not loaded it"):
        answer_all(engine, [Request(fourth, CONVERSATIONS[0], GREEDY)])
    engine._room = 1
    missing = replace(fourth, adapter_digest="1" * 64)
    (tmp_path / "fourth" / "adapter_model.safetensors").unlink()
    with pytest.raises(LlmopsError, match="vLLM refuses /v1/load_lora_adapter"):
        engine.load_adapter(missing)


def test_nobody_else_on_this_machine_is_answered(engine: VllmEngine) -> None:
    stranger = HttpEngine(Endpoint(f"{engine._server.address}/v1", "any"), key="wrong")
    side = remote_model(stranger.endpoint.uri)
    with pytest.raises(UsageError, match=r"refuses the key \(401\)"):
        generate(stranger, side, CONVERSATIONS[:1], GREEDY)
    listening = {
        connection.laddr.ip
        for one in processes(engine)
        for connection in one.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_server_that_does_not_start_shows_its_last_words(
    python: Path, sides: list[ModelFiles]
) -> None:
    with pytest.raises(ServeError, match="ended with status 2") as told:
        VllmEngine(sides[:1], python, arguments=["--no-such-option"])
    assert "unrecognized arguments: --no-such-option" in str(told.value)
    log = Path(str(told.value.next_command).removeprefix("less "))
    assert "--no-such-option" in log.read_text()


def test_a_killed_owner_leaves_no_process(python: Path, folder: Path, tmp_path: Path) -> None:
    path = os.pathsep.join(p for p in sys.path if p)
    owner = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", OWNER, str(python), str(folder)],
        env={**os.environ, "PYTHONPATH": path},
    )
    server: list[psutil.Process] = []
    deadline = time.monotonic() + SECONDS
    while not any("EngineCore" in " ".join(one.cmdline()) for one in server):
        assert owner.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
        server = psutil.Process(owner.pid).children(recursive=True)
    owner.kill()
    owner.wait()
    _, alive = psutil.wait_procs(server, timeout=20)
    assert not alive
