"""What a vLLM server is started with and asked; `tests/vllm` has a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from served import served_adapter, served_base
from vllm_standins import FRAGILE, LOADING, serving, with_cards

from llmops.errors import IntegrityError, LlmopsError, ServeError, UsageError
from llmops.records.serving import Served
from llmops.serve.engines.protocol import EngineSettings
from llmops.serve.engines.vllm import UnservableError, VllmProcess, check_servable

CARD = ("NVIDIA H200", 128.1, 139.8)
LOAD, UNLOAD, COMPLETE = "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/completions"


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    (tmp_path / "bot").mkdir()
    python = serving(tmp_path, LOADING)
    return EngineSettings(folder=tmp_path / "bot", python=str(python), adapters=2)


@pytest.fixture
def on_gpu(settings: EngineSettings, tmp_path: Path) -> EngineSettings:
    with_cards(serving(tmp_path, LOADING, vllm="0.33.0"), CARD)
    return settings


@pytest.fixture(scope="module")
def versions(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Served]:
    place = tmp_path_factory.mktemp("versions")
    return [served_adapter(tiny_model, place, number) for number in range(1, 5)]


@contextmanager
def opened(first: Served, settings: EngineSettings, **changes: Any) -> Iterator[VllmProcess]:
    process = VllmProcess(first, replace(settings, **changes))
    try:
        yield process
    finally:
        process.close()


def given(process: VllmProcess) -> list[str]:
    return list(json.loads(process.log.read_text().splitlines()[0]))


def asked(process: VllmProcess) -> list[tuple[str, dict[str, Any]]]:
    lines = (line.partition(" ") for line in process.log.read_text().splitlines()[1:])
    return [(path, json.loads(body)) for path, _, body in lines if path.startswith("/")]


def option(process: VllmProcess, name: str) -> str:
    arguments = given(process)
    return arguments[arguments.index(name) + 1]


def test_the_server_gets_what_the_first_version_needs(
    on_gpu: EngineSettings, versions: list[Served]
) -> None:
    first = versions[0]
    with opened(first, on_gpu, arguments=("--seed=7",)) as process:
        assert process.kind == "vllm"
        assert process.base_digest == option(process, "--served-model-name")
        assert option(process, "--model") == str(first.files.base.directory)
        assert option(process, "--dtype") == "bfloat16"
        assert option(process, "--max-lora-rank") == "8"
        assert option(process, "--max-loras") == option(process, "--max-cpu-loras") == "3"
        assert option(process, "--gpu-memory-utilization") == "0.89"
        assert option(process, "--api-server-count") == "1"
        module = json.loads(option(process, "--lora-modules"))
        assert module == {"name": "bot@v1", "path": str(first.files.adapter_dir)}
        assert given(process)[-1] == "--seed=7"
        assert process.log.parent == on_gpu.folder
        assert psutil.Process(process.pid).cmdline()[1].endswith("server.py")
    assert not psutil.pid_exists(process.pid)
    assert process.log.is_file()
    with opened(
        first, on_gpu, memory=0.25, max_tokens=99, arguments=("--max-lora-rank=64",)
    ) as process:
        changed = json.loads(option(process, "--override-generation-config"))
        assert changed["max_new_tokens"] == 99, "also where a request sets no limit"
        assert option(process, "--gpu-memory-utilization") == "0.25"
        process.load(served_adapter(first.files.base.directory, on_gpu.folder, 9, r=12))


def test_versions_come_and_go(on_gpu: EngineSettings, versions: list[Served]) -> None:
    first, second, third, fourth = versions
    with opened(first, on_gpu) as process:
        process.load(second)
        process.load(second)
        process.load(first)
        process.load(third)
        with pytest.raises(UsageError, match=r"bot@v4: 3 versions are loaded, the most here"):
            process.load(fourth)
        process.unload(second.name)
        process.unload(second.name)
        process.load(fourth)
        assert asked(process) == [
            (LOAD, {"lora_name": "bot@v2", "lora_path": str(second.files.adapter_dir)}),
            (LOAD, {"lora_name": "bot@v3", "lora_path": str(third.files.adapter_dir)}),
            (UNLOAD, {"lora_name": "bot@v2"}),
            (LOAD, {"lora_name": "bot@v4", "lora_path": str(fourth.files.adapter_dir)}),
        ]
        process.check()


def test_on_a_cpu_the_last_slot_holds_an_adapter_of_no_effect(
    settings: EngineSettings, versions: list[Served]
) -> None:
    with opened(versions[0], settings) as process:
        arguments = given(process)
        assert option(process, "--max-loras") == "4"
        begin = arguments.index("--lora-modules") + 1
        names = [json.loads(text)["name"] for text in arguments[begin : begin + 4]]
        assert names == ["bot@v1", "llmops-blank-1", "llmops-blank-2", "llmops-blank"]
        process.load(versions[1])
        process.unload("bot@v1")
        blank = (COMPLETE, {"model": "llmops-blank", "prompt": "x", "max_tokens": 1})
        paths = [path for path, _ in asked(process)]
        assert paths == [COMPLETE, LOAD, UNLOAD, COMPLETE]
        assert [entry for entry in asked(process) if entry[0] == COMPLETE] == [blank, blank]


def test_a_full_model_is_its_own_base_under_both_names(
    settings: EngineSettings, tiny_model: Path, versions: list[Served]
) -> None:
    whole = served_base(tiny_model)
    with opened(whole, settings) as process:
        begin = given(process).index("--served-model-name") + 1
        assert given(process)[begin : begin + 2] == ["whole@v1", whole.files.base.digest]
        assert "--enable-lora" not in given(process)
        with pytest.raises(UsageError, match="has rank 4, and this engine was started for no adap"):
            process.load(versions[0])
        with pytest.raises(UsageError, match="a full model stays loaded"):
            process.unload("whole@v1")


def test_versions_that_are_refused_before_the_server_is_asked(
    on_gpu: EngineSettings, versions: list[Served], tiny_model: Path, tmp_path: Path
) -> None:
    first, second = versions[:2]
    with opened(first, on_gpu) as process:
        with pytest.raises(UsageError, match="bot@v1: this engine has served other bytes"):
            process.load(replace(second, name="bot@v1"))
        with pytest.raises(UsageError, match=r"has rank 12, and this .* rank 8 at most") as high:
            process.load(served_adapter(tiny_model, tmp_path, 7, r=12))
        assert "-C vllm_args=--max-lora-rank=16" in str(high.value.next_command)
        with pytest.raises(UsageError, match="vLLM cannot serve it: DoRA") as dora:
            process.load(served_adapter(tiny_model, tmp_path, 8, use_dora=True))
        assert "-C engine=local" in str(dora.value.next_command)
        base = replace(second.files.base, digest="0" * 64)
        other = replace(second, files=replace(second.files, base=base))
        with pytest.raises(UsageError, match="serves the base models:/tiny/1 only"):
            process.load(replace(other, name="bot@v9"))
        damaged = Path(str(served_adapter(tiny_model, tmp_path, 6).files.adapter_dir))
        version = served_adapter(tiny_model, tmp_path, 6)
        (damaged / "adapter_model.safetensors").write_bytes(b"other")
        with pytest.raises(IntegrityError, match="the bytes differ"):
            process.load(version)
        assert asked(process) == []


def test_a_refusal_of_the_server_names_the_version(
    on_gpu: EngineSettings, versions: list[Served]
) -> None:
    with opened(versions[0], on_gpu) as process:
        with pytest.raises(LlmopsError, match=r"refused@v2: vLLM refuses .*: no such adapter"):
            process.load(replace(versions[1], name="refused@v2"))
        process.unload("refused@v2")
        assert [path for path, _ in asked(process)] == [LOAD]


def test_what_cannot_be_started(
    settings: EngineSettings, versions: list[Served], tmp_path: Path
) -> None:
    first = versions[0]
    with pytest.raises(UsageError, match="option --port cannot be set here"):
        VllmProcess(first, replace(settings, arguments=("--port=1",)))
    with pytest.raises(UsageError, match="--max-lora-rank=1: models:/bot/1 has rank 4"):
        VllmProcess(first, replace(settings, arguments=("--max-lora-rank=1",)))
    own = replace(first, files=replace(first.files, tokenizer_dir=tmp_path))
    with pytest.raises(
        UnservableError, match="a tokenizer, chat template or generation"
    ) as refused:
        check_servable(own.files, settings)
    assert "-C merged=true" in str(refused.value.next_command)
    check_servable(own.files, replace(settings, merged=True))
    tampered = replace(first, files=replace(first.files, adapter_digest="0" * 64))
    with pytest.raises(IntegrityError, match="the bytes differ"):
        VllmProcess(tampered, settings)


def check_for_seconds(process: VllmProcess, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        process.check()
        time.sleep(0.1)


def test_a_server_that_died_says_why(
    settings: EngineSettings, tiny_model: Path, tmp_path: Path
) -> None:
    both = FRAGILE.replace(
        '[{"id": value("--served-model-name")}]',
        '[{"id": n} for n in given if n == "whole@v1" or len(n) == 64]',
    )
    serving(tmp_path, both)
    with opened(served_base(tiny_model), settings) as process:
        psutil.Process(process.pid).kill()
        with pytest.raises(
            ServeError, match=r"no longer listens|ended with status 137: it was kill"
        ):
            check_for_seconds(process, 20)
