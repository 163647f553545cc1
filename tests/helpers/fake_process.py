"""The engine without a model as a gateway starts it, and versions for it that need no store."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fake_engine
from servers import free_port

from llmops.errors import LlmopsError, NotFoundError, ServeError
from llmops.records import BaseModel, ModelFiles
from llmops.records.serving import Proof, Served, served_name

BASE = "b" * 64
OTHER_BASE = "c" * 64
SECONDS = 30


def version(number: int, *, base: str = BASE, adapter: bool = True, proven: bool = True) -> Served:
    """Version NUMBER of the model ``bot``."""
    digest = f"{number:064x}"
    files = ModelFiles(
        label=f"v{number}",
        uri=f"models:/bot/{number}",
        base=BaseModel("tiny", "models:/tiny/1", base if adapter else digest, Path("/nowhere")),
        adapter_dir=Path("/nowhere") if adapter else None,
        adapter_digest=digest if adapter else None,
        model_id=None,
    )
    proof = Proof("e" * 64, "IMPROVED", "run") if proven else None
    return Served(served_name(files.uri), files, proof)


class FakeProcess:
    """A process of ``fake_engine``; see ``EngineProcess``.

    Args:
        first: The version.
        folder: For the log.
        options: Further arguments of the engine.
    """

    kind = "local"

    def __init__(self, first: Served, folder: Path, options: Sequence[str] = ()) -> None:
        self.key, port = secrets.token_urlsafe(8), free_port()
        self.address, self.log = f"http://127.0.0.1:{port}", folder / f"engine-{port}.log"
        self.base_digest = first.files.base.digest
        command = [sys.executable, fake_engine.__file__, "--port", str(port), *options]
        command += ["--served-model-name", self.base_digest]
        command += ["--lora-modules", json.dumps({"name": first.name})]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "VLLM_API_KEY": self.key}
            )
        deadline = time.monotonic() + SECONDS
        while not self._healthy():
            self.check()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        return self._process.pid

    def load(self, served: Served) -> None:
        self._post("/v1/load_lora_adapter", {"lora_name": served.name, "lora_path": "/nowhere"})

    def unload(self, name: str) -> None:
        self._post("/v1/unload_lora_adapter", {"lora_name": name})

    @property
    def problem(self) -> str | None:
        status = self._process.poll()
        return None if status is None else f"the engine ended with status {status}"

    def check(self) -> None:
        if self.problem is not None:
            raise ServeError(self.problem)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def stats(self) -> dict[str, Any]:
        """What the engine counted."""
        with urllib.request.urlopen(f"{self.address}/stats", timeout=SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=1):
                return True
        except OSError:
            return False

    def _post(self, path: str, body: dict[str, object]) -> None:
        request = urllib.request.Request(
            self.address + path,
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=SECONDS).close()
        except urllib.error.HTTPError as error:
            raise LlmopsError(f"{path}: {error.read().decode()}") from error
        except OSError as error:
            raise ServeError(f"{path}: {error}") from error


class Engines:
    """Starts processes, and remembers them.

    Args:
        folder: For the logs.
        options: Further arguments of each engine.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self.options = folder, list(options)
        self.started: list[FakeProcess] = []

    def open(self, served: Served) -> FakeProcess:
        process = FakeProcess(served, self._folder, self.options)
        self.started.append(process)
        return process

    def close(self) -> None:
        for process in self.started:
            process.close()


class Registry:
    """Versions and one alias, ``models:/bot@champion``; ``down`` makes it fail."""

    def __init__(self, *versions: Served) -> None:
        self.versions = {served.files.uri: served for served in versions}
        self.alias: str | None = "7"
        self.down: Exception | None = None

    def fetch(self, uri: str) -> Served:
        if self.down:
            raise self.down
        found = f"models:/bot/{self.alias}" if "@" in uri else uri
        if found not in self.versions:
            raise NotFoundError(f"{uri}: no such version")
        return self.versions[found]

    def lookup(self, name: str, alias: str) -> str | None:
        if self.down:
            raise self.down
        return self.alias
