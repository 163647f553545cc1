"""Run a gateway over an engine without a model, as a process of its own, until SIGTERM.

    python gateway_process.py FOLDER [OPTION OF THE ENGINE …]

It writes its port to ``FOLDER/port``, the pids of its engines to ``FOLDER/engines``, and what it
reports to ``FOLDER/reports``.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

from fake_process import Engines, FakeProcess, Registry, version

from llmops.records.serving import Served
from llmops.serve.deployment.config import Config
from llmops.serve.gateway import logs, main
from llmops.serve.gateway.parts import Parts

SLOW_SECONDS = 300
"""Seconds that an engine with the option ``--slow`` takes to start."""


def run(folder: Path, options: list[str]) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = Config(name="desk", uri="models:/bot/7", follow=False, host="127.0.0.1", port=port)
    engines, registry = Engines(folder, *options), Registry(version(7), version(8))
    logs.start(folder)

    def start(served: Served) -> FakeProcess:
        if "--slow" in options:
            time.sleep(SLOW_SECONDS)
        process = engines.open(served)
        (folder / "engines").write_text(" ".join(str(one.pid) for one in engines.started))
        return process

    def report(**changes: object) -> None:
        with (folder / "reports").open("a") as file:
            file.write(json.dumps(changes, default=str) + "\n")

    (folder / "port").write_text(str(port))
    main.serve(
        Parts(
            config=config,
            fetch=registry.fetch,
            open_process=start,
            lookup=registry.lookup,
            report=report,
        ),
        listening,
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
