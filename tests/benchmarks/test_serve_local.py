"""The worker under 16 callers, beside the bare engine and `mlflow models serve`, in the same run.

SmolLM2-135M, 32 tokens an answer. The bare engine and the worker compute with one thread each and take
turns. `mlflow models serve` computes each request in a thread of its own: on a busy machine that wins it
a larger share of the cores, so what counts there are tokens per CPU second of the whole server.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from llmops import flavor
from llmops.engine import Request
from llmops.engine.local.engine import LocalEngine
from llmops.models.resolve import of_base
from llmops.records import LoadOptions, ModelFiles, Sampling
from llmops.records.serving import Served
from llmops.serve.engines.local import LocalProcess
from llmops.serve.engines.protocol import EngineSettings

CALLERS, TOKENS, ROUNDS = 16, 32, 3
SECONDS = 900.0
TOPICS = (
    "rain bread glass trains silk tides owls paper salt bridges honey clocks snow ink maps wool"
)
ASKED = [
    [{"role": "user", "content": f"Tell me a long story about {topic}."}]
    for topic in TOPICS.split()
]


@dataclass(frozen=True)
class Server:
    """A server under test.

    Attributes:
        ask: Asks one conversation, and returns the number of generated tokens.
        pid: Its process, whose children count as well.
    """

    ask: Callable[[Any], int]
    pid: int

    def cpu_seconds(self) -> float:
        process = psutil.Process(self.pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        return sum(one.user + one.system for one in times)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("serve-bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOPS_HOME", str(folder / "home"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def files(folder: Path) -> ModelFiles:
    return of_base(flavor.ensure_base("smollm2-135m-instruct"))


@pytest.fixture(scope="module")
def worker(files: ModelFiles, folder: Path) -> Iterator[Server]:
    process = LocalProcess(Served("smol@v1", files, None), EngineSettings(folder=folder / "bot"))
    headers = {"Authorization": f"Bearer {process.key}"}
    with closing(process), httpx.Client(headers=headers, timeout=SECONDS) as client:

        def ask(messages: Any) -> int:
            body = {"model": "smol@v1", "messages": messages, "max_tokens": TOKENS}
            reply = client.post(f"{process.address}/v1/chat/completions", json=body)
            return int(reply.raise_for_status().json()["usage"]["completion_tokens"])

        yield Server(ask, process.pid)


@pytest.fixture(scope="module")
def mlflow_server(files: ModelFiles, folder: Path) -> Iterator[Server]:
    import mlflow.transformers
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = {
        "model": AutoModelForCausalLM.from_pretrained(files.base.directory, dtype=torch.float32),
        "tokenizer": AutoTokenizer.from_pretrained(files.base.directory),
    }
    # Its own default requirements need torchvision, which a text model does not.
    options = {"task": "llm/v1/chat", "pip_requirements": ["mlflow"]}
    mlflow.transformers.save_model(model, str(folder / "chat"), **options)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder / "chat")]
    log = folder / "mlflow.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "-p", str(port), "--env-manager", "local"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(int(SECONDS)),
            },
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 300
        while not _is_up(f"http://127.0.0.1:{port}/ping"):
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < until, log.read_text()[-3000:]
            time.sleep(0.5)

        def ask(messages: Any) -> int:
            body = {"messages": messages, "max_tokens": TOKENS}
            reply = httpx.post(f"http://127.0.0.1:{port}/invocations", json=body, timeout=SECONDS)
            assert reply.is_success, reply.text[-1500:]
            (answer,) = reply.json() if isinstance(reply.json(), list) else [reply.json()]
            return int(answer["usage"]["completion_tokens"])

        yield Server(ask, server.pid)
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def measured(server: Server) -> tuple[float, float]:
    """Tokens per second, and per CPU second, of all callers together."""
    with ThreadPoolExecutor(CALLERS) as pool:
        cpu, began = server.cpu_seconds(), time.perf_counter()
        tokens = sum(pool.map(server.ask, ASKED))
        return tokens / (time.perf_counter() - began), tokens / (server.cpu_seconds() - cpu)


def bare(engine: LocalEngine, files: ModelFiles) -> float:
    sampling = Sampling(max_tokens=TOKENS)
    requests = [Request(files, asked, sampling, i) for i, asked in enumerate(ASKED)]
    began = time.perf_counter()
    answers = list(engine.answer(requests, batch_size=CALLERS))
    return sum(answer.tokens for _, answer in answers) / (time.perf_counter() - began)


@pytest.mark.timeout(3600)
def test_callers_are_served_together(files: ModelFiles, worker: Server) -> None:
    import torch

    torch.set_num_threads(1)
    with closing(LocalEngine([files], options=LoadOptions(dtype="float32"))) as engine:
        worker.ask(ASKED[0])
        ratios = [measured(worker)[0] / bare(engine, files) for _ in range(ROUNDS)]
    ratio = statistics.median(ratios)
    rounds = [round(one, 2) for one in ratios]
    print(f"\n16 callers of the worker: {ratio:.2f} x the engine's batch of 16 {rounds}; bar: 0.8")
    assert ratio >= 0.8


@pytest.mark.timeout(3600)
def test_mlflow_models_serve_is_slower(worker: Server, mlflow_server: Server) -> None:
    mlflow_server.ask(ASKED[0])
    worker.ask(ASKED[0])
    theirs, ours = measured(mlflow_server), measured(worker)
    wall, cpu = (mine / other for mine, other in zip(ours, theirs, strict=True))
    print(
        f"\n16 callers of the worker: {cpu:.1f} x `mlflow models serve` by CPU time"
        f" ({ours[1]:.1f} and {theirs[1]:.1f} tokens per CPU second), {wall:.1f} x by the clock;"
        " bar: 5"
    )
    assert cpu >= 5
