"""Start a command under ``guard``, with the environment and the log of a vLLM server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from llmops.engine import guard
from llmops.engine.vllm import keyed
from llmops.engine.vllm.arguments import value
from llmops.engine.vllm.environment import Environment
from llmops.engine.vllm.memory import OPTION as MEMORY
from llmops.files import home, private
from llmops.records.urls import KEY

LOOPBACK = "127.0.0.1"
LOG_DAYS = 7
"""Days for which logs are kept."""
DROPPED = (
    *("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", KEY),
    # Settings by which a server would answer for names that nobody loaded, or serve more routes.
    *("LLMOPS_VLLM_RESOLVER", "VLLM_SKIP_MODEL_NAME_VALIDATION", "VLLM_SERVER_DEV_MODE"),
    "VLLM_USE_RUST_FRONTEND",
)
"""Environment variables that the server does not inherit."""
STATISTICS_SECONDS = "600"
"""Default of seconds between two lines of statistics in the log."""
CPU_CACHE_GIB = "2"
"""Default size of vLLM's KV cache on a CPU."""


def guarded(
    command: Sequence[str], variables: Mapping[str, str], log: Path
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command under ``guard``; return the process and the pipe end that keeps it running."""
    folder = tempfile.mkdtemp(prefix="vllm-")  # a short path, as vLLM's sockets lie there
    shutil.copyfile(keyed.__file__, f"{folder}/{keyed.MODULE}.py")
    places = {"TMPDIR": folder, "VLLM_RPC_BASE_PATH": folder, "PYTHONPATH": folder}
    return guard.start(command, folder, variables={**variables, **places}, log=log, cwd=log.parent)


def variables(environment: Environment, arguments: Sequence[str], key: str) -> dict[str, str]:
    """Return the server's environment: no network, no telemetry, no settings of this Python."""
    ours = {name: text for name, text in os.environ.items() if name not in DROPPED}
    sized = not environment.cpu or value(arguments, MEMORY) is not None
    cache = {} if sized else {"VLLM_CPU_KVCACHE_SPACE": CPU_CACHE_GIB}
    path = f"{environment.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        "VLLM_LOG_STATS_INTERVAL": STATISTICS_SECONDS,
        **cache,
        **ours,
        "PATH": path,
        "PYTHONSAFEPATH": "1",  # import no module from the working folder
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_HOST_IP": LOOPBACK,  # by which its own processes find each other
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_API_KEY": key,  # not an argument, which every user of this machine can read
    }


def new_log(folder: Path | None) -> Path:
    """Return a new log file that only its owner can read; delete those of a week ago beside it.

    Args:
        folder: Folder of a deployment; ``None`` for that of all engines.
    """
    kind = "vllm" if folder is None else "engine"
    folder = home.folder("logs") if folder is None else folder
    oldest = time.time() - LOG_DAYS * 86_400
    for path in folder.glob(f"{kind}-*.log"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
    return private.make_file(folder / f"{kind}-{uuid.uuid4().hex[:12]}.log")
