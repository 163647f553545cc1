"""Run a gateway over an engine without a model, as a process of its own, until SIGTERM.

    python gateway_process.py FOLDER [OPTION OF THE ENGINE …]

It writes its port to ``FOLDER/port``, the pids of its engines to ``FOLDER/engines``, and what it
reports to ``FOLDER/reports``. ``FOLDER/settings`` may hold JSON: settings of the deployment, ``keys``
(names, each of which is then the key's text, too) and ``seconds`` (for a header and for a body).
"""

from __future__ import annotations

import dataclasses
import json
import socket
import sys
import time
from pathlib import Path

from fake_process import Engines, FakeProcess, Registry, version

from llmops.records.serving import Served
from llmops.serve.auth import header
from llmops.serve.auth.guard import Guard
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.record import database
from llmops.serve.gateway import logs, main
from llmops.serve.gateway.doors import body, connections
from llmops.serve.gateway.hooks import Keyless
from llmops.serve.gateway.parts import Parts

SLOW_SECONDS = 300
"""Seconds that an engine with the option ``--slow`` takes to start."""


def guard(config: Config, keys: list[str]) -> Guard | Keyless:
    """The guard of a deployment with these keys; their names are their texts."""
    for name in keys:
        with database.writing() as connection:
            connection.execute(
                "insert into keys (name, hash, created) values (?, ?, 1)",
                (name, header.digest(name)),
            )
    return Guard(config) if keys else Keyless()


def run(folder: Path, options: list[str]) -> None:
    settings = folder / "settings"
    given = json.loads(settings.read_text()) if settings.exists() else {}
    keys, seconds = given.pop("keys", []), given.pop("seconds", None)
    if seconds is not None:
        connections.HEADER_SECONDS = body.SECONDS = seconds
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = Config(name="desk", uri="models:/bot/7", follow=False, host="127.0.0.1", port=port)
    config = dataclasses.replace(config, **given)
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
            guard=guard(config, keys),
        ),
        listening,
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
