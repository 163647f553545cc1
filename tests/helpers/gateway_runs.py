"""The gateway as a process, over an engine without a model."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gateway_process
import httpx
import psutil
from servers import environment

CHAT = "/v1/chat/completions"


class Gateway:
    """A gateway's process."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.process = folder, process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{(self.folder / 'port').read_text()}"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        """Everything that it wrote."""
        return "".join((self.folder / name).read_text() for name in ("gateway.log", "out"))

    @property
    def engine(self) -> psutil.Process:
        return psutil.Process(int((self.folder / "engines").read_text().split()[-1]))

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except (OSError, httpx.HTTPError):
            return False

    def reports(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / "reports").read_text().splitlines()]


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def running(folder: Path, *options: str, **settings: Any) -> Iterator[Gateway]:
    """A gateway's process, until the end of the block; see ``gateway_process`` for its settings."""
    (folder / "settings").write_text(json.dumps(settings))
    helpers = Path(gateway_process.__file__).parent
    root = Path(sys.modules["llmops"].__file__ or "").parents[1]
    env = environment(PYTHONPATH=f"{root}:{helpers}", LLMOPS_HOME=str(folder / "home"))
    command = [sys.executable, gateway_process.__file__, str(folder), *options]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        yield Gateway(folder, process)
    finally:
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for child in family:
                child.kill()
        process.wait()


@contextmanager
def serving(folder: Path, *options: str, **settings: Any) -> Iterator[Gateway]:
    """A gateway's process that answers."""
    with running(folder, *options, **settings) as one:
        until(lambda: one.process.poll() is not None or one.ready())
        assert one.process.poll() is None, (folder / "out").read_text()
        yield one


def ask(gateway: Gateway, text: str, **fields: object) -> httpx.Response:
    asked = {"messages": [{"role": "user", "content": text}], "max_tokens": 4, **fields}
    return httpx.post(gateway.url + CHAT, json=asked, timeout=30, trust_env=False)
