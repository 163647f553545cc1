"""Rows whose rotary positions depend on the longest row of a batch are kept apart."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sides import generate, score, side_of

from llmops.engine.local.engine import LocalEngine
from llmops.engine.local.lanes import LONG, SHORT, Lanes
from llmops.engine.requests import Pair, Prompt
from llmops.records import ModelFiles, Sampling

LIMIT = 64
ROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0, 8.0, 16.0, 32.0],
    "original_max_position_embeddings": LIMIT,
    "partial_rotary_factor": 1.0,
}


def lanes(ropes: dict[str, Any]) -> Lanes:
    text = SimpleNamespace(rope_parameters=ropes)
    model: Any = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: text))
    return Lanes(model, 512)


def prompt(tokens: int, answer: int) -> Prompt:
    return Prompt([1] * tokens, Sampling(max_tokens=answer), None)  # type: ignore[arg-type]


def pair(tokens: int, answer: int) -> Pair:
    return Pair([1] * tokens, [1] * answer, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("ropes", [ROPE, {"full_attention": ROPE, "sliding_attention": {}}])
def test_only_rows_that_change_over_together_share_a_batch(ropes: dict[str, Any]) -> None:
    found = lanes(ropes)
    assert found.of(prompt(60, 4)) == found.of(prompt(3, 5)) == found.of(pair(60, 4)) == SHORT
    assert found.of(prompt(65, 4)) == found.of(pair(60, 5)) == LONG
    assert found.of(prompt(60, 5)) != found.of(prompt(59, 6))
    assert found.of(prompt(60, 5)) == found.of(prompt(60, 40))
    assert (found.width(SHORT), found.width(LONG)) == (LIMIT, 512)


@pytest.mark.parametrize("kind", ["default", "linear", "dynamic", "yarn", "llama3"])
def test_other_positions_let_all_rows_share(kind: str) -> None:
    found = lanes({"rope_type": kind, "original_max_position_embeddings": LIMIT})
    assert found.of(prompt(3, 5)) == found.of(prompt(300, 5)) == found.of(pair(60, 5))
    assert found.width(found.of(prompt(3, 5))) == 512


@pytest.fixture(scope="module")
def phi(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    import torch
    from transformers import AutoConfig, Phi3Config, Phi3ForCausalLM

    folder = tmp_path_factory.mktemp("phi") / "base"
    shutil.copytree(tiny_model, folder)
    torch.manual_seed(4)
    config = Phi3Config(
        vocab_size=AutoConfig.from_pretrained(tiny_model).vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        original_max_position_embeddings=LIMIT,
        rope_parameters=ROPE,
        initializer_range=0.3,
        eos_token_id=2,
        pad_token_id=0,
    )
    Phi3ForCausalLM(config).save_pretrained(folder)
    return side_of(folder)


def test_no_row_feels_its_neighbours(phi: ModelFiles) -> None:
    engine = LocalEngine([phi])
    words = ("x", "Split a pathname. ", "Split a pathname! ", "Return the last access time. " * 20)
    asked = [[{"role": "user", "content": text}] for text in words]
    sampling = Sampling(max_tokens=60)  # the short ones change over while they answer
    together = generate(engine, phi, asked, sampling)
    alone = [generate(engine, phi, [one], sampling)[0] for one in asked]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    responses = ["The last access time of a file."] * len(asked)
    scores = score(engine, phi, asked, responses)
    for one, response, beside in zip(asked, responses, scores, strict=True):
        (single,) = engine.log_likelihood(phi, [one], [response])
        assert single is not None
        assert beside is not None
        assert single[1] == beside[1]
        assert single[0] == pytest.approx(beside[0], abs=1e-3)
