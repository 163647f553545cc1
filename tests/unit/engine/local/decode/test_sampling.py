"""What each row of a batch may draw: its tokens, its penalty, its distribution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sides import CONVERSATIONS

from llmops.engine.chat_format import ChatFormat
from llmops.engine.local.decode.row import Row
from llmops.engine.local.decode.sampling import (
    PenaliseRepeats,
    SampleRows,
    SuppressTokens,
    draw,
    processors,
)
from llmops.engine.requests import Prompt
from llmops.models.generation_config import Generation
from llmops.records import Sampling

torch = pytest.importorskip("torch")
GREEDY, FREE = Sampling(), Sampling(temperature=1.0, seed=1)


@pytest.fixture(scope="module")
def chat_format(folder: Path) -> ChatFormat:
    return ChatFormat.of_folders(None, folder)


def rows_of(chat_format: ChatFormat, ids: list[list[int]], samplings: list[Sampling]) -> list[Row]:
    return [Row(Prompt(*row, chat_format)) for row in zip(ids, samplings, strict=True)]


def with_settings(chat_format: ChatFormat, **settings: Any) -> ChatFormat:
    return ChatFormat(chat_format.tokenizer, replace(Generation(), **settings))


def test_a_batch_has_only_the_processors_that_change_one_of_its_rows(
    chat_format: ChatFormat,
) -> None:
    strict = with_settings(chat_format, suppressed=(7,), repetition_penalty=2.0)
    plain, sampled = rows_of(chat_format, [[1], [2]], [GREEDY, FREE])
    (special,) = rows_of(strict, [[3]], [GREEDY])
    assert processors([plain], 1) == []
    assert [type(one) for one in processors([plain, sampled], 1)] == [SampleRows]
    needed = processors([plain, special, sampled], 1)
    assert [type(one) for one in needed] == [SuppressTokens, PenaliseRepeats, SampleRows]
    assert [one.rows for one in needed] == [[1], [1], [2]], "tokens go before one is drawn"


def test_suppressed_tokens_are_impossible_in_their_rows_alone(chat_format: ChatFormat) -> None:
    strict = with_settings(chat_format, suppressed=(1, 3))
    rows = [*rows_of(chat_format, [[5]], [GREEDY]), *rows_of(strict, [[5]], [GREEDY])]
    scores = SuppressTokens(rows)(None, torch.zeros(2, 5))
    assert scores[0].tolist() == [0.0] * 5
    assert scores[1].tolist() == [0.0, -torch.inf, 0.0, -torch.inf, 0.0]


def test_the_padding_of_a_row_is_not_penalised(chat_format: ChatFormat) -> None:
    strict = with_settings(chat_format, repetition_penalty=2.0)
    rows = [
        *rows_of(strict, [[4, 4]], [GREEDY]),
        *rows_of(chat_format, [[4, 3, 4, 3]], [GREEDY]),
        *rows_of(strict, [[3, 2, 3, 2]], [GREEDY]),
    ]
    # Padded with 0 on the left to a width of 4; one token was generated since.
    ids = torch.tensor([[0, 0, 4, 4, 1], [4, 3, 4, 3, 1], [3, 2, 3, 2, 1]])
    scores = PenaliseRepeats(rows, 4)(ids, torch.tensor([[8.0, 8.0, -8.0, 8.0, 8.0]] * 3))
    assert scores.tolist() == [
        [8.0, 4.0, -8.0, 8.0, 4.0],
        [8.0, 8.0, -8.0, 8.0, 8.0],
        [8.0, 4.0, -16.0, 4.0, 8.0],
    ]


def test_greedy_rows_beside_sampled_ones_keep_their_scores(chat_format: ChatFormat) -> None:
    rows = rows_of(chat_format, [[1], [2], [3]], [GREEDY, FREE, GREEDY])
    before = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    scores = SampleRows(rows)(None, before.clone())
    assert torch.equal(scores[[0, 2]], before[[0, 2]])
    assert scores[1].isfinite().sum() == 1


def test_with_one_seed_the_prompts_of_a_suite_are_drawn_independently(
    chat_format: ChatFormat,
) -> None:
    rows = SampleRows(rows_of(chat_format, [[i] for i in range(200)], [FREE] * 200))
    tokens = rows(None, torch.zeros(200, 1_000)).argmax(-1)
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
    chat_format: ChatFormat, folder: Path, temperature: float, top_p: float
) -> None:
    from scipy.stats import chisquare
    from transformers import AutoModelForCausalLM

    prompt = chat_format.token_ids(chat_format.render(CONVERSATIONS[1]))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = model(torch.tensor([prompt])).logits[0, -1]
    expected = probabilities(logits, temperature, top_p)
    n = 4_000
    samplings = [Sampling(temperature=temperature, top_p=top_p, seed=seed) for seed in range(n)]
    rows = SampleRows(rows_of(chat_format, [prompt] * n, samplings))
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


def test_a_token_is_found_by_inverting_the_cumulative_distribution() -> None:
    p = torch.tensor([[0.5, 0.1, 0.4]]).double()
    ones = torch.ones(1, 1).double()
    for uniform, top_p, token in (
        (0.499999, 1.0, 0),
        (0.500001, 1.0, 1),
        (0.6001, 1.0, 2),
        (1.0, 1.0, 2),
        (0.55, 0.85, 0),  # among 0.5 and 0.4, which reach 0.85
        (0.56, 0.85, 2),
        (1.0, 0.45, 0),
    ):
        drawn = draw(p.log(), ones, ones * top_p, ones * uniform)
        assert drawn.tolist() == [token], (uniform, top_p)
