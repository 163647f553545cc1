"""State files of earlier releases: ``LLMOPS_HOME/deployments/NAME/state.json``, read once."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llmops.errors import ServeError
from llmops.files import home
from llmops.records.serving import served_name
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.record.status import Status
from llmops.serve.engines.protocol import LOCAL

FILE = "state.json"


@dataclass(frozen=True)
class Earlier:
    """A deployment that an earlier release recorded: one process, for one version.

    Attributes:
        config: Its settings, as far as they were recorded.
        status: The version that it serves.
        endpoint: Base URL.
        pid: Process id of the server.
        created: Start time of that process, Unix time in seconds.
    """

    config: Config
    status: Status
    endpoint: str
    pid: int
    created: float


def files() -> list[Path]:
    """Return the state files of earlier releases, sorted by name."""
    return sorted(home.folder("deployments").glob(f"*/{FILE}"))


def read(path: Path) -> Earlier:
    """Return the deployment that a state file records.

    Raises:
        ServeError: The file is damaged, or cannot be read.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        name, uri, endpoint = path.parent.name, str(record["uri"]), str(record["endpoint"])
        address = urlsplit(endpoint)
        host, port = str(address.hostname), int(address.port or 0)
        config = Config(name=name, uri=uri, follow=False, host=host, port=port, engine=LOCAL)
        status = Status(uri=uri, model=served_name(uri), engine=LOCAL)
        return Earlier(config, status, endpoint, int(record["pid"]), float(record["created"]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ServeError(
            f"{path}: not a state file of a deployment ({error})",
            next_command=f"stop the process that the file names, then rm {shlex.quote(str(path))}",
        ) from error
