"""The environment and the log of a vLLM server, and how it is started."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from llmops.engine.vllm import keyed, launch
from llmops.engine.vllm.environment import Environment
from llmops.files import home

CPU = Environment(Path("/opt/vllm/bin/python"), "0.32.0", cpu=True)
GPU = Environment(Path("/opt/vllm/bin/python"), "0.33.0", cpu=False)
DAY = 86_400


@pytest.mark.parametrize("name", launch.DROPPED)
def test_settings_of_this_python_or_that_open_a_server_are_not_inherited(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "DEBUG")
    found = launch.variables(GPU, [], "secret")
    assert name not in found
    assert found["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert found["VLLM_API_KEY"] == "secret"
    assert found["PATH"].startswith("/opt/vllm/bin:")


def test_the_cache_of_a_cpu_has_a_fixed_size_unless_something_else_sets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "VLLM_CPU_KVCACHE_SPACE"
    monkeypatch.delenv(name, raising=False)
    assert launch.variables(CPU, [], "")[name] == "2"
    assert name not in launch.variables(CPU, ["--gpu-memory-utilization=0.5"], "")
    assert name not in launch.variables(GPU, [], "")
    monkeypatch.setenv(name, "4")
    assert launch.variables(CPU, [], "")[name] == "4"


def test_a_command_finds_the_middleware_and_ends_with_the_pipe(tmp_path: Path) -> None:
    program = f"import {keyed.MODULE} as m; print(m.__file__, flush=True); input()"
    log = launch.new_log(tmp_path)
    variables = {"VLLM_API_KEY": "secret", "PATH": os.defpath}
    process, pipe = launch.guarded([sys.executable, "-c", program], variables, log)
    assert process.wait(20) == 1, "its input is empty"
    place = Path(log.read_text().splitlines()[0])
    assert place.name == f"{keyed.MODULE}.py"
    assert not place.parent.exists(), "the guard removed its folder"
    assert pipe is not None
    os.close(pipe)


def test_logs_are_private_and_deleted_after_a_week(tmp_path: Path) -> None:
    for folder, kind in ((None, "vllm"), (tmp_path, "engine")):
        place = home.folder("logs") if folder is None else folder
        for name, days in ((f"{kind}-old.log", 8), (f"{kind}-new.log", 6), ("bot-old.log", 8)):
            (place / name).touch()
            then = time.time() - days * DAY
            os.utime(place / name, (then, then))
        log = launch.new_log(folder)
        assert {path.name for path in place.glob("*-*.log")} == {
            *(f"{kind}-new.log", "bot-old.log", log.name)
        }
        assert log.name.startswith(f"{kind}-")
        assert log.stat().st_mode & 0o077 == 0
