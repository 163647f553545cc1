"""Sides that share a base share an engine, which is opened when it is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sides import CONVERSATIONS, generate, side_of

from llmops.compare.answers import engines as module
from llmops.compare.answers.engines import Engines
from llmops.engine import Request, Turn, open_engine
from llmops.engine.openai.endpoint import remote_model
from llmops.records import ModelFiles, Sampling, Side

SHORT = Sampling(max_tokens=4)


@pytest.fixture(scope="module")
def sides(tiny_model: Path, tiny_adapter: Path) -> list[ModelFiles]:
    """A base, its adapter, and the same base under another digest."""
    base, tuned = side_of(tiny_model), side_of(tiny_model, tiny_adapter)
    return [base, tuned, replace(base, base=replace(base.base, digest="1" * 64))]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Which engine was opened for which sides; they are real ones."""
    calls: list[tuple[str, list[str]]] = []

    def noting(name: str, sides: list[Side]) -> object:
        calls.append((name, [side.digest for side in sides]))
        return open_engine(name, sides)

    monkeypatch.setattr(module, "open_engine", noting)
    return calls


def test_one_engine_for_each_base_when_it_is_needed(
    sides: list[ModelFiles], opened: list[tuple[str, list[str]]]
) -> None:
    base, tuned, other = sides
    engines = Engines(sides, 8)
    assert opened == []
    requests = [Request(side, CONVERSATIONS[0], SHORT, side.digest) for side in (tuned, base)]
    answers = dict(engines.answer(requests))
    assert opened == [("local", [base.digest, tuned.digest])], "the other base is not loaded"
    alone = open_engine("local", [base, tuned])
    for side in (base, tuned):
        assert [answers[side.digest]] == generate(alone, side, CONVERSATIONS[:1], SHORT)
    likelihoods = dict(
        engines.likelihood(
            [Turn(side, CONVERSATIONS[0], "x", i) for i, side in enumerate((other, base))]
        )
    )
    assert likelihoods[0] == likelihoods[1]
    assert len(opened) == 2
    engines.close()
    engines.close()


def test_which_sides_tell_likelihoods_and_refuse_for_good(sides: list[ModelFiles]) -> None:
    remote = remote_model("openai:http://127.0.0.1:9/v1#m")
    here, served = Engines([*sides, remote], 8), Engines([*sides, remote], 8, "vllm")
    assert here.computes(sides[0])
    assert here.is_final(sides[0])
    for engines, side in ((here, remote), (served, sides[0]), (served, remote)):
        assert not engines.computes(side)
        assert not engines.is_final(side)
