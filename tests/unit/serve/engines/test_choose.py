"""Which engine serves a version; stand-ins say what vLLM's environment has."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from served import served_adapter
from vllm_standins import interpreter, with_cards

from llmops.engine.vllm.environment import PYTHON
from llmops.errors import NotFoundError, UsageError
from llmops.records import ModelFiles
from llmops.serve.engines.choose import engine_kind, open_process
from llmops.serve.engines.protocol import EngineSettings

CARD = ("NVIDIA H200", 128.1, 139.8)


@pytest.fixture
def files(tiny_model: Path, tmp_path: Path) -> ModelFiles:
    return served_adapter(tiny_model, tmp_path, 1).files


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineSettings:
    monkeypatch.delenv(PYTHON, raising=False)
    return EngineSettings(folder=tmp_path)


def on_gpu(folder: Path, *cards: tuple[str, float, float], vllm: str = "0.33.0") -> str:
    return str(with_cards(interpreter(folder, vllm=vllm, transformers="5.19.0"), *cards))


def test_vllm_serves_where_there_is_a_gpu_and_an_environment(
    settings: EngineSettings, files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = on_gpu(tmp_path, CARD)
    assert engine_kind(replace(settings, python=python), files) == "vllm"
    monkeypatch.setenv(PYTHON, python)
    assert engine_kind(settings, files) == "vllm"
    assert engine_kind(replace(settings, engine="local"), files) == "local"


def test_without_either_torch_serves_and_the_reason_is_said(
    settings: EngineSettings,
    files: ModelFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert engine_kind(settings, files) == "local"
    assert "engine local: no environment with vLLM is named" in capsys.readouterr().err
    python = on_gpu(tmp_path)
    assert engine_kind(replace(settings, python=python), files) == "local"
    assert "engine local: there is no GPU that vLLM could use" in capsys.readouterr().err
    python = on_gpu(tmp_path, CARD, vllm="0.33.0+cpu")
    assert engine_kind(replace(settings, python=python), files) == "local"
    assert "has a vLLM for CPUs; -C engine=vllm uses it" in capsys.readouterr().err
    monkeypatch.setenv(PYTHON, "/nowhere/python")
    assert engine_kind(settings, files) == "local"
    assert "engine local: vLLM: no interpreter at /nowhere/python" in capsys.readouterr().err


def test_an_environment_that_the_user_named_must_be_usable(
    settings: EngineSettings, files: ModelFiles
) -> None:
    with pytest.raises(NotFoundError, match="no interpreter at /nowhere/python"):
        engine_kind(replace(settings, python="/nowhere/python"), files)


def test_an_adapter_that_vllm_cannot_serve(
    settings: EngineSettings,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dora = served_adapter(tiny_model, tmp_path, 2, use_dora=True).files
    with pytest.raises(UsageError, match="models:/bot/2: vLLM cannot serve it: DoRA") as refused:
        engine_kind(replace(settings, engine="vllm"), dora)
    assert "-C engine=local" in str(refused.value.next_command)
    assert "-C merged=true" in str(refused.value.next_command)
    assert engine_kind(replace(settings, engine="vllm", merged=True), dora) == "vllm"
    named = replace(settings, python=on_gpu(tmp_path, CARD))
    assert engine_kind(named, dora) == "local"
    assert "vLLM cannot serve it: DoRA" in capsys.readouterr().err


def test_a_base_that_vllm_cannot_serve(
    settings: EngineSettings,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    (base / "generation_config.json").write_text('{"suppress_tokens": [5]}')
    files = served_adapter(base, tmp_path, 5).files
    with pytest.raises(UsageError, match="its base suppresses tokens") as refused:
        engine_kind(replace(settings, engine="vllm", merged=True), files)
    assert refused.value.next_command == "-C engine=local"
    assert engine_kind(replace(settings, python=on_gpu(tmp_path, CARD)), files) == "local"
    assert "its base suppresses tokens" in capsys.readouterr().err


def test_the_process_of_the_chosen_engine_is_opened(
    settings: EngineSettings, tiny_model: Path, tmp_path: Path
) -> None:
    first = served_adapter(tiny_model, tmp_path, 3)
    refused = replace(settings, python=on_gpu(tmp_path, CARD), arguments=("--port=80",))
    with pytest.raises(UsageError, match="option --port cannot be set here"):
        open_process("vllm", first, refused)


def test_choosing_imports_neither_torch_nor_mlflow() -> None:
    program = "import sys, llmops.serve.engines.choose as c; print(sorted(sys.modules))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=True)
    loaded = {name.partition(".")[0] for name in ast.literal_eval(done.stdout.decode())}
    assert not loaded & {"torch", "transformers", "peft", "mlflow", "pandas", "numpy"}
