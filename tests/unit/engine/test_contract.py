"""Every engine keeps the contract of ``llmops.engine.protocol``; `tests/vllm` asks vLLM the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from engine_contract import CASES, Subject, counted
from servers import answering
from vllm_standins import answering_base
from workers import worker_app

from llmops.engine import open_engine
from llmops.engine.local.engine import LocalEngine
from llmops.engine.openai.endpoint import Endpoint, remote_model
from llmops.engine.openai.engine import HttpEngine
from llmops.engine.vllm import VllmEngine
from llmops.recipe.engine_names import ENGINES
from llmops.records import LoadOptions, ModelFiles, RemoteModel

OPTIONS = LoadOptions(dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def reference(base: ModelFiles, tuned: ModelFiles) -> LocalEngine:
    return LocalEngine([base, tuned], options=OPTIONS)


@pytest.fixture(scope="module", params=["local", "openai", "vllm"])
def subject(
    request: pytest.FixtureRequest,
    base: ModelFiles,
    tuned: ModelFiles,
    reference: LocalEngine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Subject]:
    if request.param == "local":
        engine = open_engine("local", [tuned], OPTIONS)
        yield Subject(
            engine=engine,
            side=tuned,
            files=tuned,
            reference=reference,
            fresh=lambda: open_engine("local", [tuned], OPTIONS),
            count=counted(engine, "_generate_batch", len),
        )
        return
    if request.param == "vllm":  # the engine itself, and our own server in the place of vLLM's
        folder = tmp_path_factory.mktemp("vllm")
        python = answering_base(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LLMOPS_HOME", str(folder / "home"))
            with VllmEngine([base], python) as server:
                yield Subject(
                    engine=server,
                    side=base,
                    files=base,
                    reference=reference,
                    fresh=lambda: VllmEngine([base], python),
                    count=counted(server, "_ask", lambda _: 1),
                )
        return
    served = LocalEngine([tuned], options=OPTIONS)
    app = worker_app(served, tuned, "bot/3", "bot")
    with answering(app) as address:
        endpoint = Endpoint(f"{address}/v1", "bot")
        http = HttpEngine(endpoint, key="secret")
        yield Subject(
            engine=http,
            side=remote_model(endpoint.uri),
            files=tuned,
            reference=reference,
            fresh=lambda: HttpEngine(endpoint, key="secret"),
            count=counted(http, "_ask", lambda _: 1),
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_an_engine(subject: Subject, case: Callable[[Subject], None]) -> None:
    case(subject)


def test_the_table_of_engines_says_what_they_can_do(
    subject: Subject,
) -> None:
    kinds = {LocalEngine: "local", HttpEngine: "openai", VllmEngine: "vllm"}
    entry = ENGINES[kinds[type(subject.engine)]]
    assert entry.likelihood == subject.engine.capabilities.likelihood
    assert entry.remote == isinstance(subject.side, RemoteModel)
