"""Log-likelihoods are those that torch computes for each pair alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sides import CONVERSATIONS

from llmops.engine.chat_format import ChatFormat
from llmops.engine.local.decode.likelihood import score
from llmops.engine.requests import Pair

torch = pytest.importorskip("torch")
RESPONSES = ["Wrap a text.", "Split.", "", "x" * 40, "a b", "Return\nit.", "None", "Join."]


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def pairs(folder: Path) -> list[Pair]:
    chat_format = ChatFormat.of_folders(None, folder)
    return [
        Pair(
            chat_format.token_ids(chat_format.render(messages)),
            chat_format.token_ids(chat_format.turn(messages, response)),
            chat_format,
        )
        for messages, response in zip(CONVERSATIONS, RESPONSES, strict=True)
    ]


def by_hand(model: Any, pair: Pair) -> float:
    with torch.inference_mode():
        logits = model(torch.tensor([pair.prompt + pair.response])).logits[0].double()
    steps = torch.log_softmax(logits, dim=-1)[len(pair.prompt) - 1 :]
    return sum(float(steps[i, token]) for i, token in enumerate(pair.response))


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_batch_has_the_likelihoods_of_its_pairs_alone(
    model: Any, pairs: list[Pair], size: int
) -> None:
    scores = [
        one for i in range(0, 8, size) for one in score(model, pairs[i : i + size], model.device)
    ]
    for (total, tokens), pair in zip(scores, pairs, strict=True):
        assert total == pytest.approx(by_hand(model, pair), abs=1e-4)
        assert tokens == len(pair.response)
    assert len({round(total, 3) for total, _ in scores}) == 8


def test_a_model_that_returns_all_logits_has_the_same_likelihoods(
    model: Any, pairs: list[Pair], folder: Path
) -> None:
    from transformers import LlamaForCausalLM

    class Older(LlamaForCausalLM):  # type: ignore[misc]
        """A model whose ``forward`` has no ``logits_to_keep``."""

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return super().forward(input_ids=input_ids, attention_mask=attention_mask)

    older = Older.from_pretrained(folder, dtype=torch.float32).eval()
    assert score(older, pairs, older.device) == [
        (pytest.approx(total, abs=1e-4), tokens)
        for total, tokens in score(model, pairs, model.device)
    ]


def test_probabilities_of_all_answers_sum_to_one(model: Any, pairs: list[Pair]) -> None:
    (pair, *_) = pairs
    every = [
        Pair(pair.prompt, [token], pair.chat_format) for token in range(model.config.vocab_size)
    ]
    scores = score(model, every, model.device)
    assert sum(torch.tensor([total for total, _ in scores]).double().exp()) == pytest.approx(
        1.0, abs=1e-4
    )
