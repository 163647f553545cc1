from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sides import CONVERSATIONS, GREEDY, generate, texts

from llmops.engine import Request
from llmops.engine.local.decode.row import Row
from llmops.engine.local.decode.sampling import SampleRows, draw
from llmops.engine.requests import Prompt
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


def rows_of(engine: LocalEngine, ids: list[list[int]], samplings: list[Sampling]) -> list[Row]:
    chat_format = engine.chat_format()
    return [Row(Prompt(*row, chat_format)) for row in zip(ids, samplings, strict=True)]


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


def test_without_a_seed_rows_differ_and_with_one_seed_prompts_do(
    engine: LocalEngine, tuned: ModelFiles
) -> None:
    same = [CONVERSATIONS[0]] * 8
    free = Sampling(max_tokens=16, temperature=1.5)
    assert len(set(texts(generate(engine, tuned, same, free)))) == 8
    assert len(set(texts(generate(engine, tuned, same, replace(free, seed=1))))) == 1
    # One seed for a suite: its prompts are still drawn independently.
    flat = torch.zeros(1, 1000)
    rows = SampleRows(rows_of(engine, [[i] for i in range(200)], [replace(free, seed=1)] * 200))
    tokens = rows(None, flat.repeat(200, 1)).argmax(-1)
    assert len(set(tokens.tolist())) > 150


def probabilities(logits: Any, temperature: float, top_p: float) -> Any:
    """What transformers' own warpers make of the logits."""
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    scores = TemperatureLogitsWarper(temperature)(None, logits[None])
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores)
    return torch.softmax(scores[0], dim=-1)


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (2.0, 0.8), (1.0, 0.5), (0.7, 1e-6)]
)
def test_samples_have_the_distribution_of_the_model(
    engine: LocalEngine, tuned: ModelFiles, temperature: float, top_p: float
) -> None:
    from scipy.stats import chisquare

    prompt = engine.token_ids(engine.render(CONVERSATIONS[1]))
    engine._select(tuned)
    with torch.inference_mode():
        logits = engine.model(torch.tensor([prompt])).logits[0, -1]
    expected = probabilities(logits, temperature, top_p)
    n = 4_000
    samplings = [Sampling(temperature=temperature, top_p=top_p, seed=seed) for seed in range(n)]
    rows = SampleRows(rows_of(engine, [prompt] * n, samplings))
    tokens = rows(None, logits.repeat(n, 1)).argmax(-1)
    counts = torch.bincount(tokens, minlength=len(expected)).double()
    assert float(counts[expected == 0].sum()) == 0
    common = expected * n >= 5
    observed = [*counts[common].tolist(), float(counts[~common].sum())]
    wanted = [*(expected[common] * n).tolist(), float(expected[~common].sum() * n)]
    if wanted[-1] == 0:
        observed, wanted = observed[:-1], wanted[:-1]
    scale = n / sum(wanted)
    if len(wanted) > 1:
        assert chisquare(observed, [count * scale for count in wanted]).pvalue > 0.001


def test_generate_draws_what_the_rows_say(engine: LocalEngine, tuned: ModelFiles) -> None:
    """The whole way: one-token answers of two thousand seeds."""
    prompt = engine.token_ids(engine.render(CONVERSATIONS[1]))
    engine._select(tuned)
    with torch.inference_mode():
        logits = engine.model(torch.tensor([prompt])).logits[0, -1]
    expected = probabilities(logits, 0.5, 1.0)
    n = 2_000
    samplings = [Sampling(max_tokens=1, temperature=0.5, seed=seed) for seed in range(n)]
    answers = generate(engine, tuned, [CONVERSATIONS[1]] * n, samplings, batch_size=500)
    best = int(expected.argmax())
    share = texts(answers).count(engine.tokenizer.decode([best])) / n
    assert share == pytest.approx(float(expected[best]), abs=4 * (0.25 / n) ** 0.5)


@pytest.mark.parametrize("temperature", [1e-300, 1e-6, 1e-3, 1.0, 2.0, 1e6])
def test_no_temperature_breaks_the_numbers(temperature: float) -> None:
    logits = torch.tensor([[80.0, -90.0, -torch.inf, 79.0]]).repeat(3, 1)
    column = torch.full((3, 1), temperature, dtype=torch.float64)
    uniform = torch.tensor([[2.0**-53], [0.5], [1.0]], dtype=torch.float64)
    for top_p in (1.0, 0.9, 1e-9):
        tokens = draw(logits, column, torch.full((3, 1), top_p, dtype=torch.float64), uniform)
        assert 2 not in tokens.tolist(), "a token without probability"
        assert all(0 <= token < 4 for token in tokens)
        if temperature < 0.01 or top_p < 0.5:
            assert tokens.tolist() == [0, 0, 0]


def test_a_cold_row_is_greedy(engine: LocalEngine, tuned: ModelFiles) -> None:
    cold = [Sampling(max_tokens=16, temperature=t, seed=1) for t in (1e-6, 1e-30, 1e-6, 1e-300)]
    assert generate(engine, tuned, CONVERSATIONS[:4], cold) == generate(
        engine, tuned, CONVERSATIONS[:4], GREEDY
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_tokens": 0}, "max_tokens is 0; allowed: 1 or more"),
        ({"temperature": -1.0}, "temperature is -1.0; allowed: 0 or more"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0.0; allowed: above 0, at most 1"),
        ({"stop": ("a", "")}, "stop is .* non-empty strings"),
    ],
)
def test_what_cannot_be_generated_is_refused(
    engine: LocalEngine, tuned: ModelFiles, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        generate(engine, tuned, CONVERSATIONS[:1], replace(GREEDY, **values))
    with pytest.raises(UsageError, match=said):
        next(engine.stream(Request(tuned, CONVERSATIONS[0], replace(GREEDY, **values))))
