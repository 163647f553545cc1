from __future__ import annotations

import gc
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sides import CONVERSATIONS, GREEDY, PROMPTS, generate, score, texts

from llmops.engine import Request, Turn
from llmops.errors import UsageError
from llmops.models.generation_config import Generation
from llmops.records import Answer, LoadOptions, ModelFiles, Sampling

if TYPE_CHECKING:
    from llmops.engine.local.engine import LocalEngine


def test_each_side_answers_for_itself(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles
) -> None:
    answers = [
        texts(generate(engine, side, CONVERSATIONS, GREEDY)) for side in (base, tuned, other)
    ]
    for i, prompt in enumerate(PROMPTS):
        assert len({of_side[i] for of_side in answers}) == 3, prompt


def test_who_answered_before_does_not_matter(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles
) -> None:
    from llmops.engine.local.engine import LocalEngine

    sides = {"base": base, "tuned": tuned, "other": other}
    alone = {
        name: generate(
            LocalEngine([side], options=LoadOptions(dtype="float32")),
            side,
            CONVERSATIONS[:3],
            GREEDY,
        )
        for name, side in sides.items()
    }
    for name in ["tuned", "base", "other", "base", "base", "tuned", "other", "tuned"]:
        assert generate(engine, sides[name], CONVERSATIONS[:3], GREEDY) == alone[name], name


@pytest.fixture(params=["<|pad|>", "<|im_end|>"])
def _padding(engine: LocalEngine, request: pytest.FixtureRequest) -> Iterator[None]:
    """With a token of its own, and with the end token as many chat models do."""
    before = engine.tokenizer.pad_token
    engine.tokenizer.pad_token = request.param
    yield
    engine.tokenizer.pad_token = before


@pytest.mark.usefixtures("_padding")
@pytest.mark.parametrize("stop", [(), ("e", "g")])
def test_neighbours_in_a_batch_change_nothing(
    engine: LocalEngine, tuned: ModelFiles, stop: tuple[str, ...]
) -> None:
    # With stop strings a row that ends early is padded: the padding once counted as tokens.
    sampling = Sampling(max_tokens=16, stop=stop)
    alone = generate(engine, tuned, CONVERSATIONS, sampling, batch_size=1)
    together = generate(engine, tuned, CONVERSATIONS, sampling, batch_size=8)
    assert together == alone
    assert len({answer.prompt_tokens for answer in alone}) > 3  # so there was padding
    if stop:
        assert len({answer.tokens for answer in alone}) > 2


def test_results_come_as_batches_are_done(engine: LocalEngine, tuned: ModelFiles) -> None:
    batches: list[int] = []
    real = engine._generate_batch

    def counting(prompts: list[Any], mixture: Any) -> list[Answer]:
        batches.append(len(prompts))
        return real(prompts, mixture)

    requests = [Request(tuned, one, GREEDY, f"key {i}") for i, one in enumerate(CONVERSATIONS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_generate_batch", counting)
        results = engine.answer(requests, batch_size=3)
        assert batches == [], "nothing begins before the first result is asked for"
        first = [next(results) for _ in range(3)]
        assert batches == [3]
        given = dict([*first, *results])
        assert batches == [3, 3, 2]
    alone = generate(engine, tuned, CONVERSATIONS, GREEDY, batch_size=1)
    assert given == {f"key {i}": answer for i, answer in enumerate(alone)}
    assert list(engine.answer([])) == []


def test_an_answer_counts_its_tokens(engine: LocalEngine, tuned: ModelFiles) -> None:
    (answer,) = generate(engine, tuned, CONVERSATIONS[:1], GREEDY)
    prompt = engine.render(CONVERSATIONS[0])
    assert prompt.endswith("<|im_start|>assistant\n")
    assert answer.prompt_tokens == len(engine.token_ids(prompt))
    assert (answer.tokens, answer.finish_reason) == (16, "length")


def test_sampling_is_repeatable_with_a_seed(engine: LocalEngine, tuned: ModelFiles) -> None:
    def draw(seed: int) -> list[str]:
        sampling = Sampling(max_tokens=16, temperature=1.0, seed=seed)
        return texts(generate(engine, tuned, CONVERSATIONS, sampling))

    assert draw(1) == draw(1) != draw(2)


def test_a_stop_string_ends_the_answer_and_is_cut(engine: LocalEngine, tuned: ModelFiles) -> None:
    for whole in generate(engine, tuned, CONVERSATIONS, GREEDY):
        assert len(whole.text) > 8
    (whole,) = generate(engine, tuned, CONVERSATIONS[:1], GREEDY)
    stop = whole.text[5:7]
    (cut,) = generate(engine, tuned, CONVERSATIONS[:1], Sampling(max_tokens=16, stop=(stop, "@@@")))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert cut.tokens < whole.tokens


def test_the_end_token_ends_the_answer(
    engine: LocalEngine, tuned: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    (whole,) = generate(engine, tuned, CONVERSATIONS[:1], GREEDY)
    engine.scheduler.activate(tuned.adapter_digest)
    prompt = torch.tensor([engine.token_ids(engine.render(CONVERSATIONS[0]))])
    ids = engine.model.generate(prompt, max_new_tokens=16)[0, prompt.shape[1] :].tolist()
    monkeypatch.setattr(engine.chat_format(tuned), "generation", Generation(end_ids=(ids[4],)))
    (ended,) = generate(engine, tuned, CONVERSATIONS[:1], GREEDY)
    assert ended.finish_reason == "stop"
    assert ended.tokens == ids.index(ids[4]) + 1  # the end token counts, but is not text
    assert ended.text == engine.tokenizer.decode(ids[: ids.index(ids[4])])
    assert whole.text.startswith(ended.text)


def test_log_likelihood_is_that_of_torch(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, adapter: Path, folder: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    responses = ["Wrap a text.", "Split.", "", "x" * 40, "a b", "Return\nit.", "None", "Join."]
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), adapter
    )
    for side, model in ((base, plain), (tuned, adapted)):
        found = score(engine, side, CONVERSATIONS, responses)
        for i, response in enumerate(responses):
            prompt = engine.token_ids(engine.render(CONVERSATIONS[i]))
            wanted = engine.token_ids(f"{response}<|im_end|>\n")  # what the template writes
            with torch.no_grad():
                logits = model(torch.tensor([prompt + wanted])).logits[0].double()
            steps = torch.log_softmax(logits, dim=-1)[len(prompt) - 1 :]
            expected = sum(float(steps[j, token]) for j, token in enumerate(wanted))
            assert found[i] == (pytest.approx(expected, abs=1e-4), len(wanted))


def test_streamed_pieces_are_the_answer(engine: LocalEngine, tuned: ModelFiles) -> None:
    sampling = Sampling(max_tokens=60, temperature=1.5, seed=3)
    for conversation in CONVERSATIONS[:3]:
        *pieces, last = engine.stream(Request(tuned, conversation, sampling))
        (answer,) = generate(engine, tuned, [conversation], sampling)
        assert last == answer
        assert "".join(str(piece) for piece in pieces) == answer.text
        assert len(pieces) > 1


def streams() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "llmops-stream"]


def test_closing_a_stream_stops_the_generation(engine: LocalEngine, tuned: ModelFiles) -> None:
    steps: list[int] = []
    model = engine.model.base_model.model
    hook = model.register_forward_hook(lambda *_: steps.append(1))
    pieces = engine.stream(
        Request(tuned, CONVERSATIONS[0], Sampling(max_tokens=400, temperature=1.5, seed=3))
    )
    next(pieces)
    assert len(streams()) == 1
    pieces.close()
    hook.remove()
    assert streams() == []
    assert 0 < len(steps) < 400
    assert generate(engine, tuned, CONVERSATIONS[:1], GREEDY)  # and the engine goes on


def test_another_side_may_answer_while_a_stream_is_read(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles
) -> None:
    # The active adapter is state of the model: the stream went on with the other side's.
    sampling = Sampling(max_tokens=60)
    *_, expected = engine.stream(Request(tuned, CONVERSATIONS[0], sampling))
    alone = generate(engine, base, CONVERSATIONS, GREEDY)
    pieces = engine.stream(Request(tuned, CONVERSATIONS[0], sampling))
    next(pieces)
    assert generate(engine, base, CONVERSATIONS, GREEDY) == alone
    *_, last = pieces
    assert last == expected
    assert streams() == []


def test_threads_take_turns(engine: LocalEngine, base: ModelFiles, tuned: ModelFiles) -> None:
    sides = [base, tuned] * 4
    expected = [generate(engine, side, CONVERSATIONS[:3], GREEDY) for side in sides]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda side: generate(engine, side, CONVERSATIONS[:3], GREEDY), sides)
        )
    assert answers == expected


def test_a_stream_that_is_forgotten_leaves_no_thread(
    engine: LocalEngine, tuned: ModelFiles
) -> None:
    pieces = engine.stream(Request(tuned, CONVERSATIONS[0], Sampling(max_tokens=400)))
    assert streams() == [], "nothing begins before the first piece is asked for"
    next(pieces)
    del pieces
    gc.collect()
    assert streams() == []


def test_a_failure_inside_a_stream_is_raised_to_the_reader(
    engine: LocalEngine, tuned: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(engine.model, "generate", fail)
    with pytest.raises(MemoryError, match="no memory"):
        list(engine.stream(Request(tuned, CONVERSATIONS[0], GREEDY)))
    assert streams() == []


def test_what_does_not_fit_the_context_is_an_error_and_comes_first(
    engine: LocalEngine, tuned: ModelFiles
) -> None:
    long = [{"role": "user", "content": "Split a pathname. " * 200}]
    requests = [
        Request(tuned, CONVERSATIONS[0], GREEDY, "fine"),
        Request(tuned, long, GREEDY, "long"),
        Request(tuned, CONVERSATIONS[3], Sampling(max_tokens=500), "greedy"),
    ]
    (first, refused), (second, cut), (third, fine) = engine.answer(requests)
    assert (first, second, third) == ("long", "greedy", "fine")
    assert re.match(r"the prompt has \d+ tokens .* context is 512", str(refused.error))
    assert "answer may have 500" in str(cut.error)
    assert fine.error is None
    with pytest.raises(UsageError, match="context is 512"):
        next(engine.stream(Request(tuned, long, GREEDY)))
    turns = [Turn(tuned, CONVERSATIONS[0], text, text) for text in ("x", "Split a path. " * 200)]
    assert next(engine.likelihood(turns)) == (turns[1].response, None)


def test_a_batch_is_no_wider_than_the_context(engine: LocalEngine, tuned: ModelFiles) -> None:
    # Side by side they were padded to a prompt of 500 and an answer of 400 tokens.
    long = [{"role": "user", "content": "x " * 225}]
    samplings = [Sampling(max_tokens=4), Sampling(max_tokens=400)]
    positions: list[int] = []
    base = engine.model.get_base_model()
    hook = base.model.register_forward_pre_hook(
        lambda _, __, given: positions.append(int(given["position_ids"].max())), with_kwargs=True
    )
    answers = generate(engine, tuned, [long, CONVERSATIONS[2]], samplings)
    hook.remove()
    assert answers[0].prompt_tokens > 400
    assert max(positions) < engine.context


def test_messages_that_the_template_refuses(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        engine.tokenizer, "chat_template", "{{ raise_exception('no system role, please') }}"
    )
    with pytest.raises(UsageError, match="no system role, please"):
        engine.render(CONVERSATIONS[0])
