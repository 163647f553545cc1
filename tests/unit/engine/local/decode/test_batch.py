from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sides import CONVERSATIONS, GREEDY, generate, texts

from llmops.engine import Request
from llmops.errors import UsageError
from llmops.records import ModelFiles, Sampling

if TYPE_CHECKING:
    from llmops.engine.local.engine import LocalEngine

torch = pytest.importorskip("torch")
MIXED = [
    GREEDY,
    Sampling(max_tokens=16, temperature=1.0, seed=1),
    Sampling(max_tokens=3),
    Sampling(max_tokens=9, temperature=0.7, top_p=0.9, seed=2**80),
    Sampling(max_tokens=16, stop=("e", "g")),
    Sampling(max_tokens=30, temperature=2.0, top_p=0.5, seed=-7),
    Sampling(max_tokens=1, temperature=1.0, seed=3),
    Sampling(max_tokens=16, temperature=1.0, seed=1, stop=("a", "r")),
]


def test_a_row_is_the_same_alone_and_in_any_batch(engine: LocalEngine, tuned: ModelFiles) -> None:
    alone = [
        generate(engine, tuned, [conversation], sampling)[0]
        for conversation, sampling in zip(CONVERSATIONS, MIXED, strict=True)
    ]
    for size in (2, 3, 8):
        assert generate(engine, tuned, CONVERSATIONS, MIXED, batch_size=size) == alone
    backwards = generate(engine, tuned, CONVERSATIONS[::-1], MIXED[::-1], batch_size=8)
    assert backwards[::-1] == alone


def test_greedy_rows_are_those_of_a_greedy_batch(engine: LocalEngine, tuned: ModelFiles) -> None:
    greedy = generate(engine, tuned, CONVERSATIONS, GREEDY)
    mixed = generate(engine, tuned, CONVERSATIONS, MIXED)
    assert mixed[0] == greedy[0]
    assert greedy[2].text.startswith(mixed[2].text)


def test_each_row_has_its_own_length(engine: LocalEngine, tuned: ModelFiles) -> None:
    lengths = [1, 2, 3, 5, 8, 13, 21, 34]
    answers = generate(engine, tuned, CONVERSATIONS, [Sampling(max_tokens=n) for n in lengths])
    assert [answer.tokens for answer in answers] == lengths
    assert {answer.finish_reason for answer in answers} == {"length"}


def test_each_row_has_its_own_stop_strings(engine: LocalEngine, tuned: ModelFiles) -> None:
    whole = generate(engine, tuned, CONVERSATIONS, GREEDY)
    stops = [answer.text[i : i + 2] for i, answer in enumerate(whole)]
    samplings = [replace(GREEDY, stop=(stop, "@@@")) for stop in stops]
    for i, cut in enumerate(generate(engine, tuned, CONVERSATIONS, samplings)):
        assert cut.text == whole[i].text[: whole[i].text.index(stops[i])]
        assert cut.finish_reason == "stop"
        assert 0 < cut.tokens <= whole[i].tokens


def test_rows_of_one_prompt_differ_without_a_seed_and_are_equal_with_one(
    engine: LocalEngine, tuned: ModelFiles
) -> None:
    same = [CONVERSATIONS[0]] * 8
    free = Sampling(max_tokens=16, temperature=1.5)
    assert len(set(texts(generate(engine, tuned, same, free)))) == 8
    assert len(set(texts(generate(engine, tuned, same, replace(free, seed=1))))) == 1


def probabilities(logits: Any, temperature: float, top_p: float) -> Any:
    """What transformers' own warpers make of the logits."""
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    scores = TemperatureLogitsWarper(temperature)(None, logits[None])
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores)
    return torch.softmax(scores[0], dim=-1)


def test_generate_draws_what_the_rows_say(engine: LocalEngine, tuned: ModelFiles) -> None:
    """The whole way: one-token answers of two thousand seeds."""
    prompt = engine.token_ids(engine.render(CONVERSATIONS[1]))
    engine.scheduler.activate(tuned.adapter_digest)
    with torch.inference_mode():
        logits = engine.model(torch.tensor([prompt])).logits[0, -1]
    expected = probabilities(logits, 0.5, 1.0)
    n = 2_000
    samplings = [Sampling(max_tokens=1, temperature=0.5, seed=seed) for seed in range(n)]
    answers = generate(engine, tuned, [CONVERSATIONS[1]] * n, samplings, batch_size=500)
    best = int(expected.argmax())
    share = texts(answers).count(engine.tokenizer.decode([best])) / n
    assert share == pytest.approx(float(expected[best]), abs=4 * (0.25 / n) ** 0.5)


def test_a_cold_row_is_greedy(engine: LocalEngine, tuned: ModelFiles) -> None:
    cold = [Sampling(max_tokens=16, temperature=t, seed=1) for t in (1e-6, 1e-30, 1e-6, 1e-300)]
    assert generate(engine, tuned, CONVERSATIONS[:4], cold) == generate(
        engine, tuned, CONVERSATIONS[:4], GREEDY
    )


def test_a_sampling_out_of_range_is_refused_before_anything_is_generated(
    engine: LocalEngine, tuned: ModelFiles
) -> None:
    wrong = replace(GREEDY, top_p=0.0)
    with pytest.raises(UsageError, match="top_p is 0"):
        generate(engine, tuned, CONVERSATIONS[:2], [GREEDY, wrong])
    with pytest.raises(UsageError, match="top_p is 0"):
        next(engine.stream(Request(tuned, CONVERSATIONS[0], wrong)))
