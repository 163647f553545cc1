"""A real deployment with small versions, and what a benchmark wants to know about its processes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_engine
import psutil
import pytest
import vllm_standins
from load import Target
from servers import machine
from tiny_models import build_tiny_adapter, build_vivid_model

from llmops.engine.vllm.environment import BUILT, PYTHON
from llmops.records import Deployment

ROOT = Path(__file__).parents[2]
NAME, MODEL, ALIAS = "desk", "bot", "champion"
FAKE, LOCAL, VLLM = "fake", "local", "vllm"
KEY, WORKER_KEY = "VLLM_API_KEY", "LLMOPS_WORKER_KEY"
"""Environment variables with the key of an engine: of vLLM, and of the worker."""
STANDIN = """
import sys
sys.path[:0] = {paths!r}
sys.argv += {arguments!r}
import fake_engine
fake_engine.main()
"""


@dataclass(frozen=True)
class Stack:
    """A running deployment of ``models:/bot@champion``.

    Attributes:
        deployment: As ``create`` returned it.
        max_tokens: Tokens of each answer.
    """

    deployment: Deployment
    max_tokens: int = 16

    def target(self, **body: Any) -> Target:
        """Return the deployment as a target of load."""
        fields = {"model": NAME, "max_tokens": self.max_tokens, **body}
        return Target(f"{self.deployment.endpoint}/v1/chat/completions", fields, named=True)

    def engine(self, **body: Any) -> Target:
        """Return its engine, vLLM or a fake one, asked directly, as a target of load."""
        (server, *_) = [one for one in self.engine_processes() if "--port" in one.cmdline()]
        command = server.cmdline()
        url = f"http://127.0.0.1:{command[command.index('--port') + 1]}"
        headers = {"Authorization": f"Bearer {server.environ()[KEY]}"}
        fields = {"model": f"{MODEL}@v1", "max_tokens": self.max_tokens, **body}
        return Target(f"{url}/v1/chat/completions", fields, headers)

    def gateway(self) -> psutil.Process:
        """Return the gateway's process."""
        return psutil.Process(self.deployment.pid)

    def engine_processes(self) -> list[psutil.Process]:
        """Return the processes of the engines, each before those that it started."""
        found = [one for one in self.gateway().children(recursive=True) if _is_engine(one)]
        assert found, "no engine runs"
        return found

    def memory(self) -> dict[str, int]:
        """Return resident bytes: of the gateway, and of its engines together."""
        engines = sum(one.memory_info().rss for one in self.engine_processes())
        return {"gateway": self.gateway().memory_info().rss, "engine": engines}


class Watch:
    """Samples the gateway's resident memory every half second, in a ``with`` block."""

    def __init__(self, stack: Stack) -> None:
        self._process, self._end = stack.gateway(), threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.bytes: list[int] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(0.5):
            self.bytes.append(self._process.memory_info().rss)


@contextmanager
def registry(folder: Path, versions: int = 2, *, base: str | None = None) -> Iterator[None]:
    """Have a store with versions 1 to N of the model ``bot``, the first one with the alias.

    Args:
        folder: Becomes the working directory.
        versions: Their number; each has random weights of its own.
        base: Name of an embedded base model; a tiny one by default.
    """
    from versions import log_version

    from llmops import flavor

    with machine(folder, f"sqlite:///{folder / 'mlflow.db'}"):
        made = (
            flavor.ensure_base(base)
            if base
            else flavor.add_base(build_vivid_model(folder / "base"), "tiny")
        )
        for number in range(1, versions + 1):
            place = folder / f"adapter{number}"
            adapter = build_tiny_adapter(made.directory, place, seed=number)
            log_version(adapter, made, MODEL, alias=None if number > 1 else ALIAS)
        yield


@contextmanager
def deployed(
    folder: Path, engine: str, *arguments: str, max_tokens: int = 16, **options: Any
) -> Iterator[Stack]:
    """Have a deployment that follows the alias, until the end of the block.

    Args:
        folder: For the stand-in of an engine.
        engine: ``fake``, ``local`` or ``vllm``; the test is skipped if vLLM is not installed.
        arguments: Arguments of a fake engine.
        max_tokens: Tokens of each answer.
        options: Options of the deployment.
    """
    from llmops import serve

    settings: dict[str, Any] = {"engine": engine, "unproven": "allow"}
    if engine == FAKE:
        settings |= {"engine": VLLM, "vllm": str(_standin(folder, arguments))}
    if engine == VLLM:
        settings |= {"vllm": str(vllm_python())}
    deployment = serve.create(NAME, f"models:/{MODEL}@{ALIAS}", **settings | options)
    try:
        yield Stack(deployment, max_tokens)
    finally:
        serve.delete(NAME)


def move_alias(version: int) -> None:
    """Give the alias to another version, as `llmops promote` or MLflow's pages do."""
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias(MODEL, ALIAS, str(version))


def vllm_python() -> Path:
    """Return the interpreter of the environment with vLLM, or skip the test."""
    path = Path(os.environ.get(PYTHON) or ROOT / BUILT)
    if not path.is_file():
        pytest.skip(f"no {path}: `make vllm-env` builds it, or {PYTHON} names another")
    return path


def _standin(folder: Path, arguments: tuple[str, ...]) -> Path:
    """Return something that looks like a Python with vLLM, whose server has no model."""
    paths = [str(Path(fake_engine.__file__).parent), *filter(None, sys.path)]
    return vllm_standins.serving(folder, STANDIN.format(paths=paths, arguments=list(arguments)))


def _is_engine(process: psutil.Process) -> bool:
    """Return whether a process of the gateway is an engine: only those know an engine's key."""
    try:
        return not process.environ().keys().isdisjoint((KEY, WORKER_KEY))
    except psutil.Error:  # it has just ended
        return False
