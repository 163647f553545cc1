"""A real worker process: it answers for its versions, refuses others, and dies with its parent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sides import GREEDY, generate, side_of, write_adapter

from llmops.errors import UsageError
from llmops.records import LoadOptions, ModelFiles
from llmops.records.serving import Served
from llmops.serve.engines.local import LocalProcess
from llmops.serve.engines.protocol import EngineSettings

pytest.importorskip("torch")
ASKED = {"messages": [{"role": "user", "content": "Split a pathname."}], "max_tokens": 16}


def served(name: str, files: ModelFiles) -> Served:
    return Served(name, files, None)


@pytest.fixture(scope="module")
def sides(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[ModelFiles]:
    """The base, and two versions over it."""
    folder = tmp_path_factory.mktemp("adapters")
    adapters = [write_adapter(tiny_model, folder / f"a{i}", seed=i, rank=4) for i in (1, 2)]
    return [side_of(tiny_model), *(side_of(tiny_model, adapter) for adapter in adapters)]


@pytest.fixture(scope="module")
def worker(
    sides: list[ModelFiles], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalProcess]:
    settings = EngineSettings(folder=tmp_path_factory.mktemp("deployment"))
    with closing(LocalProcess(served("bot@v1", sides[1]), settings)) as worker:
        yield worker


def ask(worker: LocalProcess, model: str, path: str = "/v1/chat/completions") -> httpx.Response:
    headers = {"Authorization": f"Bearer {worker.key}"}
    asked = ASKED | {"model": model}
    return httpx.post(worker.address + path, json=asked, headers=headers, timeout=60)


def test_it_answers_for_each_version_by_its_name(
    worker: LocalProcess, sides: list[ModelFiles]
) -> None:
    from llmops.engine.local.engine import LocalEngine

    worker.check()
    assert worker.kind == "local"
    assert worker.base_digest == sides[0].base.digest
    worker.load(served("bot@v2", sides[2]))
    with closing(LocalEngine(sides, options=LoadOptions(dtype="float32"))) as engine:
        for name, side in zip((worker.base_digest, "bot@v1", "bot@v2"), sides, strict=True):
            reply = ask(worker, name).json()
            (expected,) = generate(engine, side, [ASKED["messages"]], GREEDY)
            assert reply["model"] == name
            assert reply["choices"][0]["message"]["content"] == expected.text
    worker.unload("bot@v2")
    assert ask(worker, "bot@v2").status_code == 404
    with pytest.raises(UsageError, match="not loaded"):
        worker.unload("bot@v2")
