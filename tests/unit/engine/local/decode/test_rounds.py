"""Groups that cannot be decoded together, long prompts by parts, and too little memory."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from arrivals import Caller
from sides import CONVERSATIONS, answer_all, side_of, trained

from llmops.engine import Request
from llmops.engine.local.continuous import ContinuousBatch
from llmops.engine.local.decode import rounds as rounds_module
from llmops.engine.local.decode.admission import Limits
from llmops.engine.local.decode.running import RunningRows
from llmops.errors import LlmopsError
from llmops.records import LoadOptions, ModelFiles, Sampling

if TYPE_CHECKING:
    from llmops.engine.local.engine import LocalEngine

torch = pytest.importorskip("torch")
FP32 = LoadOptions(dtype="float32")
WORDS = "Return the last access time of a file. "


def opened(*sides: ModelFiles) -> LocalEngine:
    from llmops.engine.local.engine import LocalEngine

    return LocalEngine(sides, options=FP32)


def some(sides: list[ModelFiles], count: int = 10, *, longest: int = 3) -> list[Request]:
    rng = random.Random(len(sides))
    return [
        Request(
            rng.choice(sides),
            [{"role": "user", "content": f"{i} " + WORDS * rng.randint(0, longest)}],
            Sampling(rng.choice([3, 9, 40]), rng.choice([0.0, 1.0]), 1.0, i),
        )
        for i in range(count)
    ]


def together(engine: LocalEngine, requests: list[Request], **limits: int) -> list[Any]:
    with closing(ContinuousBatch(engine)) as batch:
        found: Limits = batch._rounds._limits
        for name, value in limits.items():
            setattr(found, name, value)
        callers = []
        for request in requests:
            callers.append(Caller(request).asks(batch))
            time.sleep(0.01)
        return [caller.answer for caller in callers]


def check(sides: list[ModelFiles], **limits: int) -> None:
    requests = some(sides)
    with closing(opened(*sides)) as alone:
        expected = answer_all(alone, requests, batch_size=1)
    assert together(opened(*sides), requests, **limits) == expected
    assert len({answer.text for answer in expected}) > 4


def with_weights(tiny_model: Path, folder: Path, model: Any) -> ModelFiles:
    from transformers import AutoTokenizer

    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return side_of(folder)


SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "initializer_range": 0.5,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def mistral(size: int) -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(
        MistralConfig(
            vocab_size=size,
            intermediate_size=64,
            num_key_value_heads=2,
            sliding_window=16,
            max_position_embeddings=1024,
            **SMALL,
        )
    )


def gpt_neox(size: int) -> Any:
    """Its positions are rotary only in part, and its blocks run in parallel."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    return GPTNeoXForCausalLM(
        GPTNeoXConfig(vocab_size=size, intermediate_size=64, max_position_embeddings=1024, **SMALL)
    )


def gpt2(size: int) -> Any:
    """Its positions are learned, one vector for each place."""
    from transformers import GPT2Config, GPT2LMHeadModel

    small = {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 1024}
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=size, initializer_range=0.3, eos_token_id=2, **small)
    )


def mamba(size: int) -> Any:
    """It has a state in place of a KV cache."""
    from transformers import MambaConfig, MambaForCausalLM

    return MambaForCausalLM(
        MambaConfig(
            vocab_size=size,
            hidden_size=32,
            state_size=4,
            num_hidden_layers=2,
            eos_token_id=2,
            pad_token_id=0,
            initializer_range=0.5,
            max_position_embeddings=1024,
        )
    )


@pytest.mark.parametrize("build", [mistral, gpt_neox, gpt2, mamba])
def test_models_of_all_kinds_answer_as_each_prompt_alone(
    build: Callable[[int], Any], tiny_model: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    torch.manual_seed(0)
    model = build(len(AutoTokenizer.from_pretrained(tiny_model)))
    check([with_weights(tiny_model, tmp_path / "model", model)], rows=4)


def test_adapters_that_cannot_mix_take_turns(
    folder: Path, base: ModelFiles, tuned: ModelFiles, tmp_path: Path
) -> None:
    sides = [base, tuned]
    for seed in (5, 6):
        trained(folder, seed=seed, use_dora=True).save_pretrained(tmp_path / f"dora{seed}")
        sides.append(side_of(folder, tmp_path / f"dora{seed}"))
    check(sides)


def test_long_prompts_are_computed_by_parts_while_others_answer(
    base: ModelFiles, tuned: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []
    fill = RunningRows.fill

    def counted(batch: Any, mixture: Any, tokens: int) -> None:
        parts.append(len(batch.rows))
        fill(batch, mixture, tokens)

    monkeypatch.setattr(RunningRows, "fill", counted)
    check([base, tuned], prompt=16)
    assert len(parts) > 5


def test_a_caller_that_leaves_in_the_middle_of_a_long_prompt_is_noticed(
    base: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers: list[Caller] = []
    fill = RunningRows.fill

    def leaves(batch: Any, mixture: Any, tokens: int) -> None:
        fill(batch, mixture, tokens)
        callers[0].ticket.cancel()
        parts.append(1)

    parts: list[int] = []
    monkeypatch.setattr(RunningRows, "fill", leaves)
    with closing(ContinuousBatch(opened(base))) as batch:
        batch._rounds._limits.prompt = 8
        callers.append(Caller(Request(base, WORDS * 20, Sampling(max_tokens=4))))
        callers[0].asks(batch)
        follower = Caller(Request(base, "x", Sampling(max_tokens=2))).asks(batch)
        assert follower.answer.tokens > 0
        assert not callers[0].done.is_set()
    assert len(parts) == 1


def test_rows_that_need_too_much_memory_wait_again_and_answer_the_same(
    base: ModelFiles, tuned: ModelFiles
) -> None:
    check([base, tuned], tokens=150)


def test_when_memory_runs_out_fewer_rows_are_computed_and_nothing_is_lost(
    base: ModelFiles, tuned: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    extend = RunningRows.extend
    failures: list[int] = []

    def short_of_memory(batch: Any, mixture: Any, ends: Any, streamer: Any = None) -> None:
        if len(batch.rows) > 2:
            failures.append(len(batch.rows))
            for row in batch.rows:
                row.uniform()  # a number was drawn for a token that is lost
            raise torch.OutOfMemoryError("CUDA out of memory")
        extend(batch, mixture, ends, streamer)

    requests = some([base, tuned])
    expected = answer_all(opened(base, tuned), requests, batch_size=1)
    monkeypatch.setattr(RunningRows, "extend", short_of_memory)
    assert together(opened(base, tuned), requests) == expected
    assert failures


def test_a_row_that_does_not_fit_alone_fails_and_others_go_on(
    base: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    extend = RunningRows.extend

    def too_long(batch: Any, mixture: Any, ends: Any, streamer: Any = None) -> None:
        if max(row.length for row in batch.rows) > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")
        extend(batch, mixture, ends, streamer)

    monkeypatch.setattr(RunningRows, "extend", too_long)
    with closing(ContinuousBatch(opened(base))) as batch:
        sampling = Sampling(max_tokens=4)
        large = Caller(Request(base, WORDS * 20, sampling)).asks(batch)
        small = [Caller(Request(base, "x", sampling)).asks(batch) for _ in range(3)]
        with pytest.raises(LlmopsError, match="does not fit into memory even alone"):
            _ = large.answer
        assert {caller.answer.error for caller in small} == {None}


def test_an_error_fails_its_rows_alone(base: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    extend = RunningRows.extend

    def broken(batch: Any, mixture: Any, ends: Any, streamer: Any = None) -> None:
        if any(row.prompt.sampling.seed == 13 for row in batch.rows):
            raise ValueError("a bug")
        extend(batch, mixture, ends, streamer)

    monkeypatch.setattr(RunningRows, "extend", broken)
    with closing(ContinuousBatch(opened(base))) as batch:
        failing = Caller(Request(base, "x", Sampling(max_tokens=4, seed=13))).asks(batch)
        with pytest.raises(ValueError, match="a bug"):
            _ = failing.answer
        assert Caller(Request(base, "x", Sampling(max_tokens=4))).asks(batch).answer.tokens > 0
        assert batch.alive


def test_rows_of_a_group_get_their_turn_while_another_goes_on(
    folder: Path, base: ModelFiles, tmp_path: Path
) -> None:
    trained(folder, seed=5, use_dora=True).save_pretrained(tmp_path / "dora")
    dora = side_of(folder, tmp_path / "dora")
    endless = Sampling(max_tokens=400, temperature=2.0, seed=1)
    with closing(ContinuousBatch(opened(base, dora))) as batch:
        first = Caller(Request(base, CONVERSATIONS[0], endless)).asks(batch)
        assert first.first.wait(60)
        second = Caller(Request(dora, CONVERSATIONS[0], Sampling(max_tokens=40))).asks(batch)
        assert second.answer.tokens > 0
        assert not first.done.is_set()
        assert rounds_module.TURN < 400
