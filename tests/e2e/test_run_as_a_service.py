"""The systemd unit and the Containerfile of the docs: as far as a machine without either can try them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from gateway_runs import serving

from llmops.cli.main import cli

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "run-as-a-service.md").read_text()
ANALYZE = shutil.which("systemd-analyze")
pytestmark = pytest.mark.e2e


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def shell() -> list[list[str]]:
    """The commands of the page, each as its words."""
    text = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in text.splitlines()]


def containerfile() -> list[tuple[str, str]]:
    """The instructions of the Containerfile."""
    text = block("dockerfile").replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines() if line]


def check_arguments(arguments: list[str]) -> None:
    """A command line of ``llmops`` is understood; ``--help`` behind it keeps it from running."""
    done = CliRunner().invoke(cli, [*arguments, "--help"])
    assert done.exit_code == 0, done.output
    known = set(re.findall(r"--[a-z-]+", done.output))
    assert {word for word in arguments if word.startswith("--")} <= known


@pytest.mark.skipif(
    ANALYZE is None, reason="systemd-analyze is not installed (apt install systemd)"
)
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "llmops-bot.service"
    assert "%h/.venv/bin/llmops" in block("ini")
    unit.write_text(block("ini").replace("%h/.venv/bin/llmops", sys.executable))
    done = subprocess.run(
        [str(ANALYZE), "--user", "verify", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_the_unit_starts_a_command_that_exists() -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", block("ini"), re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert program.endswith("/bin/llmops")
    check_arguments(arguments)


def test_the_container_starts_a_command_that_exists_and_keeps_its_data() -> None:
    steps = containerfile()
    assert next(name for name, _ in steps) == "FROM"
    (entry,) = [json.loads(what) for name, what in steps if name == "ENTRYPOINT"]
    (started,) = [words for words in shell() if words[:2] == ["podman", "run"]]
    (built,) = [words for words in shell() if words[:2] == ["podman", "build"]]
    image = built[built.index("-t") + 1]
    check_arguments([*entry[1:], *started[started.index(image) + 1 :]])
    (home,) = [what.partition("=")[2] for name, what in steps if name == "ENV"]
    assert ("VOLUME", home) in steps
    assert f"llmops-data:{home}" in started
    (port,) = [what for name, what in steps if name == "EXPOSE"]
    assert port in entry
    assert f"{port}:{port}" in started
    user = next(number for number, step in enumerate(steps) if step[0] == "USER")
    made = next(number for number, step in enumerate(steps) if step == ("RUN", f"mkdir {home}"))
    assert user < made, "the folder, and so a new volume, belongs to the user"


def test_the_shell_understands_every_step() -> None:
    for name, what in containerfile():
        if name == "RUN":
            subprocess.run(["sh", "-n", "-c", what], check=True)


def test_the_health_check_tells_a_deployment_that_answers(tmp_path: Path) -> None:
    (what,) = [what for name, what in containerfile() if name == "HEALTHCHECK"]
    python, *arguments = json.loads(what[what.index("[") :])
    assert python == "python"
    code = arguments[-1]
    with serving(tmp_path) as gateway:
        here = code.replace("127.0.0.1:8100", f"127.0.0.1:{gateway.port}")
        assert here != code
        assert subprocess.run([sys.executable, "-c", here]).returncode == 0
    gone = subprocess.run([sys.executable, "-c", here], capture_output=True)
    assert gone.returncode == 1
