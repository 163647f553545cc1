from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmops import digest
from llmops.errors import IntegrityError, UsageError
from llmops.records import Answer, BaseModel, ModelFiles, Sampling

if TYPE_CHECKING:
    from llmops.engine.local import LocalEngine

PROMPTS = [
    "def wrap(text, width=70):",
    "Split a pathname.",
    "x",
    "Return the last access time of a file. Join two or more pathname components. system user",
    "def split(p): def getatime(filename):",
    "Write a one-line docstring for this Python function.",
    "a file, a path, a name",
    "assistant",
]
CONVERSATIONS = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
GREEDY = Sampling(max_tokens=16)


def side_of(base: Path, adapter: Path | None = None) -> ModelFiles:
    record = BaseModel("tiny", "models:/tiny/1", digest.of_model(base), base)
    return ModelFiles(
        label="base" if adapter is None else adapter.name,
        uri="models:/bot/1",
        base=record,
        adapter_dir=adapter,
        adapter_digest=None if adapter is None else digest.of_model(adapter),
        model_id=None,
    )


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with larger weights: as it is, it repeats one token, whatever is asked."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("lively") / "base"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    larger = {name: w * 10 if w.ndim > 1 else w for name, w in weights.items()}
    save_file(larger, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices of 32 x 32 gain nothing from threads, which wait for each other on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_adapter(base: Path, folder: Path, *, seed: int, rank: int) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"
    )
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(folder: Path) -> Path:
    return write_adapter(folder, folder.with_name("adapter"), seed=1, rank=4)


@pytest.fixture(scope="module")
def base(folder: Path) -> ModelFiles:
    return side_of(folder)


@pytest.fixture(scope="module")
def tuned(folder: Path, adapter: Path) -> ModelFiles:
    return side_of(folder, adapter)


@pytest.fixture(scope="module")
def other(folder: Path) -> ModelFiles:
    return side_of(folder, write_adapter(folder, folder.with_name("other"), seed=2, rank=2))


@pytest.fixture(scope="module")
def engine(base: ModelFiles, tuned: ModelFiles, other: ModelFiles) -> LocalEngine:
    from llmops.engine.local import LocalEngine

    return LocalEngine([base, tuned, other], dtype="float32")


def texts(answers: list[Answer]) -> list[str]:
    return [answer.text for answer in answers]


def test_each_side_answers_for_itself(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles
) -> None:
    answers = [texts(engine.generate(side, CONVERSATIONS, GREEDY)) for side in (base, tuned, other)]
    for i, prompt in enumerate(PROMPTS):
        assert len({said[i] for said in answers}) == 3, prompt


def test_who_answered_before_does_not_matter(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles
) -> None:
    from llmops.engine.local import LocalEngine

    sides = {"base": base, "tuned": tuned, "other": other}
    alone = {
        name: LocalEngine([side], dtype="float32").generate(side, CONVERSATIONS[:3], GREEDY)
        for name, side in sides.items()
    }
    for name in ["tuned", "base", "other", "base", "base", "tuned", "other", "tuned"]:
        assert engine.generate(sides[name], CONVERSATIONS[:3], GREEDY) == alone[name], name


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
    alone = engine.generate(tuned, CONVERSATIONS, sampling, batch_size=1)
    together = engine.generate(tuned, CONVERSATIONS, sampling, batch_size=8)
    assert together == alone
    assert len({answer.prompt_tokens for answer in alone}) > 3  # so there was padding
    if stop:
        assert len({answer.tokens for answer in alone}) > 2


def test_answers_come_in_the_order_of_the_questions_and_each_batch_is_told(
    engine: LocalEngine, tuned: ModelFiles
) -> None:
    told: dict[int, Answer] = {}
    batches: list[int] = []

    def on_batch(indices: list[int], answers: list[Answer]) -> None:
        batches.append(len(indices))
        told.update(zip(indices, answers, strict=True))

    answers = engine.generate(tuned, CONVERSATIONS, GREEDY, batch_size=3, on_batch=on_batch)
    assert batches == [3, 3, 2]
    assert [told[i] for i in range(len(PROMPTS))] == answers
    assert answers[2] == engine.generate(tuned, CONVERSATIONS[2:3], GREEDY)[0]
    assert engine.generate(tuned, [], GREEDY) == []


def test_an_answer_counts_its_tokens(engine: LocalEngine, tuned: ModelFiles) -> None:
    (answer,) = engine.generate(tuned, CONVERSATIONS[:1], GREEDY)
    prompt = engine.render(CONVERSATIONS[0])
    assert prompt.endswith("<|im_start|>assistant\n")
    assert answer.prompt_tokens == len(engine.token_ids(prompt))
    assert (answer.tokens, answer.finish_reason) == (16, "length")


def test_sampling_is_repeatable_with_a_seed(engine: LocalEngine, tuned: ModelFiles) -> None:
    def draw(seed: int) -> list[str]:
        sampling = Sampling(max_tokens=16, temperature=1.0, seed=seed)
        return texts(engine.generate(tuned, CONVERSATIONS, sampling))

    assert draw(1) == draw(1) != draw(2)


def test_a_stop_string_ends_the_answer_and_is_cut(engine: LocalEngine, tuned: ModelFiles) -> None:
    for whole in engine.generate(tuned, CONVERSATIONS, GREEDY):
        assert len(whole.text) > 8
    (whole,) = engine.generate(tuned, CONVERSATIONS[:1], GREEDY)
    stop = whole.text[5:7]
    (cut,) = engine.generate(tuned, CONVERSATIONS[:1], Sampling(max_tokens=16, stop=(stop, "@@@")))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert cut.tokens < whole.tokens


def test_the_end_token_ends_the_answer(
    engine: LocalEngine, tuned: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = engine.generate(tuned, CONVERSATIONS[:1], GREEDY)
    inputs = engine._encode([engine.render(CONVERSATIONS[0])], GREEDY)
    ids = engine._run(inputs, GREEDY)[0].tolist()
    monkeypatch.setattr(engine.model.generation_config, "eos_token_id", ids[4])
    (ended,) = engine.generate(tuned, CONVERSATIONS[:1], GREEDY)
    assert ended.finish_reason == "stop"
    assert ended.tokens == ids.index(ids[4]) + 1  # the end token counts, and is not told
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
        found = engine.log_likelihood(side, CONVERSATIONS, responses)
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
        *pieces, last = engine.stream(tuned, conversation, sampling)
        (answer,) = engine.generate(tuned, [conversation], sampling)
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
        tuned, CONVERSATIONS[0], Sampling(max_tokens=400, temperature=1.5, seed=3)
    )
    next(pieces)
    assert len(streams()) == 1
    pieces.close()  # type: ignore[attr-defined]
    hook.remove()
    assert streams() == []
    assert 0 < len(steps) < 400
    assert engine.generate(tuned, CONVERSATIONS[:1], GREEDY)  # and the engine goes on


def test_a_failure_inside_a_stream_is_raised_to_the_reader(
    engine: LocalEngine, tuned: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(engine.model, "generate", fail)
    with pytest.raises(MemoryError, match="no memory"):
        list(engine.stream(tuned, CONVERSATIONS[0], GREEDY))
    assert streams() == []


def test_what_does_not_fit_the_context_is_refused(engine: LocalEngine, tuned: ModelFiles) -> None:
    long = [{"role": "user", "content": "Split a pathname. " * 200}]
    with pytest.raises(UsageError, match=r"the prompt has \d+ tokens .* context is 512"):
        engine.generate(tuned, [long], GREEDY)
    with pytest.raises(UsageError, match="context is 512"):
        next(engine.stream(tuned, long, GREEDY))
    with pytest.raises(UsageError, match="answer may have 500"):
        engine.generate(tuned, CONVERSATIONS[3:4], Sampling(max_tokens=500))


def test_messages_that_the_template_refuses(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        engine.tokenizer, "chat_template", "{{ raise_exception('no system role, please') }}"
    )
    with pytest.raises(UsageError, match="no system role, please"):
        engine.render(CONVERSATIONS[0])


def rewritten(adapter: Path, folder: Path, change: str) -> Path:
    """A copy of an adapter with one tensor renamed, removed or cut."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    name = sorted(tensors)[0]
    tensor = tensors.pop(name)
    if change == "renamed":
        tensors[name.replace("layers.0", "layers.7")] = tensor
    if change == "cut":
        tensors[name] = tensor[:, :-1].contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("change", ["renamed", "removed", "cut"])
@pytest.mark.filterwarnings("ignore:Found missing adapter keys:UserWarning")
def test_an_adapter_that_does_not_fit_is_refused(
    folder: Path, adapter: Path, tuned: ModelFiles, tmp_path: Path, change: str
) -> None:
    # PEFT only warns, and leaves what is missing at its random start.
    from llmops.engine.local import LocalEngine

    broken = side_of(folder, rewritten(adapter, tmp_path / "adapter", change))
    for sides in ([broken], [tuned, broken]):
        with pytest.raises(IntegrityError, match=r"do(es)? not (match|fit)"):
            LocalEngine(sides)


def test_a_pickled_adapter_is_not_opened(folder: Path, adapter: Path, tmp_path: Path) -> None:
    # Without a safetensors file PEFT falls back to adapter_model.bin, which is a pickle.
    from llmops.engine.local import LocalEngine

    shutil.copytree(adapter, tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_model.safetensors").rename(
        tmp_path / "adapter" / "adapter_model.bin"
    )
    with pytest.raises(IntegrityError, match=r"no adapter_model\.safetensors"):
        LocalEngine([side_of(folder, tmp_path / "adapter")])


def test_sides_of_different_bases_are_refused(tuned: ModelFiles, tiny_model: Path) -> None:
    from llmops.engine.local import LocalEngine

    with pytest.raises(UsageError, match="different base models"):
        LocalEngine([tuned, side_of(tiny_model)])
