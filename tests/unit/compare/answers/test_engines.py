"""The engines of a comparison: one for each base model and endpoint, opened on first use."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from echo_engine import SERVER, EchoEngine, side

from llmops.compare.answers.engines import Engines
from llmops.engine import Request, Turn
from llmops.engine.openai.endpoint import remote_model
from llmops.engine.sides import ApartError
from llmops.recipe.engine_names import ENGINES, EngineEntry
from llmops.records import LoadOptions, Sampling, Side

GREEDY = Sampling(max_tokens=4)
V1, V2, OTHER = side("v1"), side("v2"), side("v9", base="other")
REMOTE = remote_model("openai:http://127.0.0.1:9/v1#m")


def ask(to: Side, text: str, key: str) -> Request:
    return Request(to, [{"role": "user", "content": text}], GREEDY, key)


def test_versions_of_one_base_share_an_engine_and_its_batches(opened: list[EchoEngine]) -> None:
    engines = Engines([V1, V2, OTHER], 8, "echo")
    assert opened == [], "nothing is opened before a request"
    requests = [ask(V1, "a", "k1"), ask(OTHER, "b", "k2"), ask(V2, "c", "k3")]
    answers = dict(engines.answer(requests))
    assert {key: answer.text for key, answer in answers.items()} == {
        "k1": "v1: a",
        "k2": "v9: b",
        "k3": "v2: c",
    }
    assert [engine.batches for engine in opened] == [[["v1 a", "v2 c"]], [["v9 b"]]]
    assert [list(engine.sides) for engine in opened] == [[V1, V2], [OTHER]]


def test_an_engine_that_is_not_asked_is_not_opened(opened: list[EchoEngine]) -> None:
    engines = Engines([V1, OTHER, REMOTE], 8, "echo")
    assert dict(engines.answer([])) == {}
    assert [a.text for _, a in engines.answer([ask(OTHER, "b", "k")])] == ["v9: b"]
    assert [list(engine.sides) for engine in opened] == [[OTHER]]


def test_an_engine_is_opened_once_and_closed_at_the_end(opened: list[EchoEngine]) -> None:
    engines = Engines([V1, V2], 8, "echo")
    for text in ("a", "b"):
        assert len(list(engines.answer([ask(V1, text, text)]))) == 1
    messages = [{"role": "user", "content": "a"}]
    likelihoods = dict(engines.likelihood([Turn(V2, messages, "four", "t")]))
    assert likelihoods == {"t": (-6.0, 2)}
    (engine,) = opened
    assert not engine.closed
    engines.close()
    assert engine.closed


@pytest.mark.usefixtures("opened")
def test_likelihoods_and_final_refusals_depend_on_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines = Engines([V1, REMOTE], 8, "echo")
    assert engines.computes(V1)
    assert engines.is_final(V1)
    assert not engines.computes(REMOTE)
    assert not engines.is_final(REMOTE)
    monkeypatch.setitem(ENGINES, "echo", SERVER)
    assert not engines.computes(V1)
    assert not engines.is_final(V1), "a server may answer the next time"


def test_a_side_that_changes_its_base_has_an_engine_of_its_own(
    opened: list[EchoEngine], tmp_path: Path
) -> None:
    for name, settings in (("v3", {"init_lora_weights": "pissa"}), ("v4", {"bias": "lora_only"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps(settings))
    v3, v4 = (replace(side(name), adapter_dir=tmp_path / name) for name in ("v3", "v4"))
    engines = Engines([V1, v3, V2, v4], 8, "echo")
    asked = [ask(x, "a", x.label) for x in (V1, v3, V2, v4)]
    assert {a.text for _, a in engines.answer(asked)} == {"v1: a", "v2: a", "v3: a", "v4: a"}
    assert [list(engine.sides) for engine in opened] == [[V1, V2], [v3], [v4]]


def test_sides_that_cannot_be_loaded_together_are_loaded_apart(
    opened: list[EchoEngine], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def alone(sides: list[Side], options: LoadOptions) -> EchoEngine:
        if len(sides) > 1:
            raise ApartError("v2: cannot be loaded together with the adapters before it")
        return EchoEngine(sides, options)

    monkeypatch.setattr("echo_engine.only_alone", alone, raising=False)
    entry = EngineEntry("echo_engine:only_alone", likelihood=True)
    monkeypatch.setitem(ENGINES, "echo", entry)
    engines = Engines([V1, V2], 8, "echo")
    for text in ("a", "b"):
        answers = dict(engines.answer([ask(V1, text, "k1"), ask(V2, text, "k2")]))
        assert {key: a.text for key, a in answers.items()} == {
            "k1": f"v1: {text}",
            "k2": f"v2: {text}",
        }
    assert [list(engine.sides) for engine in opened] == [[V1], [V2]]
    assert "each side gets an engine of its own" in capsys.readouterr().err
