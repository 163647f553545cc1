"""A real vLLM server as the engine behind a gateway. `make vllm` runs this."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import mlflow
import psutil
import pytest
from served import served_adapter, served_base
from sides import CONVERSATIONS, generate, write_adapter
from versions import log_version

from llmops import flavor
from llmops.engine.local.engine import LocalEngine
from llmops.errors import IntegrityError, ServeError, UsageError
from llmops.models.resolve import resolve
from llmops.records import LoadOptions, Sampling
from llmops.records.serving import Served
from llmops.serve.engines.protocol import EngineSettings
from llmops.serve.engines.vllm import VllmProcess

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
SECONDS = 240.0


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOPS_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def versions(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Served]:
    place = tmp_path_factory.mktemp("versions")
    return [served_adapter(folder, place, number) for number in range(1, 6)]


@pytest.fixture(scope="module")
def settings(python: Path, tmp_path_factory: pytest.TempPathFactory) -> EngineSettings:
    return EngineSettings(folder=tmp_path_factory.mktemp("bot"), python=str(python), adapters=2)


@pytest.fixture(scope="module")
def process(settings: EngineSettings, versions: list[Served]) -> Iterator[VllmProcess]:
    began = time.monotonic()
    process = VllmProcess(versions[0], settings)
    print(f"\nvLLM: up after {time.monotonic() - began:.0f} s")
    yield process
    server = psutil.Process(process.pid)
    family = [server, *server.children(recursive=True)]
    process.close()
    process.close()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert process.log.is_file(), "a deployment keeps its logs"


def ask(process: VllmProcess, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "prompt": "def split(p):", "max_tokens": 12, "temperature": 0} | more
    headers = {"Authorization": f"Bearer {process.key}"}
    return httpx.post(
        f"{process.address}/v1/completions", json=body, headers=headers, timeout=SECONDS
    )


def text_of(process: VllmProcess, model: str, **more: Any) -> str:
    answer = ask(process, model, **more).raise_for_status().json()
    assert answer["model"] == model
    return str(answer["choices"][0]["text"])


def test_versions_come_and_go_under_their_names(
    process: VllmProcess, versions: list[Served]
) -> None:
    first, second = versions[:2]
    assert process.base_digest == first.files.base.digest
    assert "api_server" in " ".join(psutil.Process(process.pid).cmdline())
    began = time.monotonic()
    process.load(second)
    print(f"\na version loaded in {time.monotonic() - began:.2f} s")
    process.load(second)  # is there
    texts = [text_of(process, name) for name in (first.name, second.name, process.base_digest)]
    assert len(set(texts)) == 3, texts
    process.unload(second.name)
    process.unload(second.name)
    assert ask(process, second.name).status_code == 404
    assert text_of(process, first.name) == texts[0]
    process.load(second)
    assert text_of(process, second.name) == texts[1]
    process.check()


def test_the_base_is_never_mixed_with_a_version_however_many_come_and_go(
    process: VllmProcess, versions: list[Served]
) -> None:
    first = versions[0]
    alone = text_of(process, process.base_digest, max_tokens=32)
    expected: dict[str, str] = {}
    for number in range(12):  # three times as often as there are slots
        served = versions[1 + number % 4]
        process.load(served)
        asked = [served.name, first.name, process.base_digest] * 2
        with ThreadPoolExecutor(len(asked)) as pool:
            texts = list(pool.map(lambda name: text_of(process, name, max_tokens=32), asked))
        assert texts[2] == texts[5] == alone, number
        for name, text in zip(asked[:2], texts[:2], strict=True):
            assert expected.setdefault(name, text) == text
        process.unload(served.name)
    assert len(set(expected.values())) == 5


def test_versions_that_cannot_be_loaded(
    process: VllmProcess, versions: list[Served], folder: Path, tmp_path: Path
) -> None:
    first, third = versions[0], versions[2]
    other = replace(versions[3], name=first.name)
    with pytest.raises(UsageError, match=f"{first.name}: this engine has served other bytes"):
        process.load(other)
    high = served_adapter(folder, tmp_path, 7, r=12)
    with pytest.raises(
        UsageError, match="has rank 12, and this engine was started for rank 8"
    ) as e:
        process.load(high)
    assert "-C vllm_args=--max-lora-rank=16" in str(e.value.next_command)
    with pytest.raises(UsageError, match="vLLM cannot serve it: DoRA"):
        process.load(served_adapter(folder, tmp_path, 8, use_dora=True))
    with pytest.raises(UsageError, match="has no adapter"):
        process.load(served_base(folder))
    base = replace(third.files.base, digest="0" * 64)
    with pytest.raises(UsageError, match="this engine serves the base models:/tiny/1 only"):
        process.load(replace(third, name="bot@v9", files=replace(third.files, base=base)))
    tampered = served_adapter(folder, tmp_path, 10)
    weights = Path(str(tampered.files.adapter_dir)) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="the bytes differ"):
        process.load(tampered)
    assert ask(process, tampered.name).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "x"}),
        ("/invocations", {"prompt": "x"}),
        ("/adapters", {"name": "bot@v1", "src": "/elsewhere", "load_inplace": True}),
        ("/tokenize", {"prompt": "x"}),
        ("/metrics", None),
    ],
)
def test_nobody_without_the_key_is_answered(
    process: VllmProcess, path: str, body: dict[str, Any] | None
) -> None:
    method = "GET" if body is None else "POST"
    for key in ({}, {"Authorization": "Bearer wrong"}):
        reply = httpx.request(method, f"{process.address}{path}", json=body, headers=key)
        assert reply.status_code == 401
    assert httpx.get(f"{process.address}/health").status_code == 200


def test_a_name_that_nobody_loaded_is_not_answered(process: VllmProcess) -> None:
    assert ask(process, "bot@v99").status_code == 404
    assert ask(process, "bot@champion").status_code == 404


def test_a_merged_version_is_served_under_its_name(
    python: Path, folder: Path, store: str, tmp_path: Path
) -> None:
    """Without an adapter, and with the answers of the version that was merged."""
    base = flavor.add_base(folder, "tiny")
    with mlflow.start_run():
        bot = log_version(write_adapter(folder, tmp_path / "a", seed=3), base, "bot")
    files = resolve(bot.uri)
    settings = EngineSettings(folder=tmp_path, python=str(python), merged=True)
    process = VllmProcess(Served("bot@v1", files, None), settings)
    try:
        assert process.base_digest != base.digest
        local = LocalEngine([files], options=LoadOptions(dtype="float32", device="cpu"))
        (expected,) = generate(local, files, CONVERSATIONS[:1], Sampling(max_tokens=12))
        body = {"model": "bot@v1", "messages": CONVERSATIONS[0], "max_tokens": 12, "temperature": 0}
        answer = httpx.post(
            f"{process.address}/v1/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {process.key}"},
            timeout=SECONDS,
        ).json()
        assert answer["model"] == "bot@v1"
        assert answer["choices"][0]["message"]["content"] == expected.text.rstrip("\ufffd")
        with pytest.raises(UsageError, match="serves one merged version only"):
            process.load(Served("bot@v2", files, None))
        with pytest.raises(UsageError, match="a full model stays loaded"):
            process.unload("bot@v1")
        process.check()
        kill_engine_inside(process)
        time.sleep(1.0)  # the server itself goes on for seconds
        with pytest.raises(ServeError, match="its engine process ended and gave no reason"):
            process.check()
    finally:
        process.close()


def kill_engine_inside(process: VllmProcess) -> None:
    (engine,) = [
        one
        for one in psutil.Process(process.pid).children(recursive=True)
        if "EngineCore" in " ".join(one.cmdline())
    ]
    engine.kill()


OWNER = """
import sys
from pathlib import Path
from served import served_base
from llmops.serve.engines.protocol import EngineSettings
from llmops.serve.engines.vllm import VllmProcess
python, base, folder = sys.argv[1:]
VllmProcess(served_base(Path(base)), EngineSettings(folder=Path(folder), python=python))
"""


def test_a_killed_gateway_leaves_no_process(python: Path, folder: Path, tmp_path: Path) -> None:
    path = os.pathsep.join(p for p in sys.path if p)
    owner = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", OWNER, str(python), str(folder), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
    )
    family: list[psutil.Process] = []
    deadline = time.monotonic() + SECONDS
    while not any("EngineCore" in " ".join(one.cmdline()) for one in family):
        assert owner.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
        family = psutil.Process(owner.pid).children(recursive=True)
    owner.kill()
    owner.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_a_server_that_does_not_start_says_why(
    settings: EngineSettings, versions: list[Served]
) -> None:
    options = ("--max-model-len=100000",)
    with pytest.raises(ServeError, match=r"max_model_len \(100000\) is greater than") as failure:
        VllmProcess(versions[0], replace(settings, arguments=options))
    assert "Traceback" not in str(failure.value)
    log = Path(str(failure.value.next_command).removeprefix("less "))
    assert log.parent == settings.folder
    assert "max_model_len" in log.read_text()
