"""Loading: bit for bit what was trained, on a machine that has the registry alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_contract import counted
from sides import CONVERSATIONS, GREEDY, generate, side_of

from llmops import flavor
from llmops.engine.local.engine import LocalEngine
from llmops.errors import UsageError
from llmops.flavor import LoadedModel
from llmops.models import bases
from llmops.records import BaseModel, ModelVersion, Sampling


def test_round_trip_is_exact_without_the_original_base(
    version: ModelVersion, base: BaseModel, tiny_model: Path, tiny_adapter: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([[5, 6, 7, 8]])
    plain = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_model), tiny_adapter
    )
    shutil.rmtree(
        bases.cache_dir(base.digest)
    )  # this machine forgets the base: the registry has it
    loaded = flavor.load_model(version.uri)
    with torch.no_grad():
        assert torch.equal(plain.eval()(ids).logits, loaded.engine.model(ids).logits)


@pytest.fixture(scope="module")
def model(tiny_model: Path, tiny_adapter: Path) -> LoadedModel:
    files = side_of(tiny_model, tiny_adapter)
    return LoadedModel(files, LocalEngine([files]))


@pytest.fixture
def begun(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Counts the prompts that are computed."""
    monkeypatch.setattr(model.engine, "_generate_batch", model.engine._generate_batch)  # put back
    return counted(model.engine, "_generate_batch", len)


def test_answers_come_in_the_order_of_the_conversations(model: LoadedModel) -> None:
    samplings = [Sampling(max_tokens=n + 1) for n in range(len(CONVERSATIONS))]
    answers = model.generate(CONVERSATIONS, samplings)
    assert answers == generate(model.engine, model.files, CONVERSATIONS, samplings)
    assert model.generate(CONVERSATIONS, GREEDY)[3] == model.generate(CONVERSATIONS[3:4], GREEDY)[0]
    assert model.generate([], GREEDY) == []


def test_a_conversation_that_does_not_fit_is_refused_before_anything_is_computed(
    model: LoadedModel, begun: Callable[[], int]
) -> None:
    long = [{"role": "user", "content": "word " * 600}]
    with pytest.raises(UsageError, match=r"the prompt has \d+ tokens .* context is 512"):
        model.generate([*CONVERSATIONS, long], GREEDY)
    with pytest.raises(UsageError, match="max_tokens is 0"):
        model.generate(CONVERSATIONS, Sampling(max_tokens=0))
    assert begun() == 0
    assert model.generate(CONVERSATIONS[:2], GREEDY)
    assert begun() == 2


def test_one_sampling_for_each_conversation(model: LoadedModel) -> None:
    with pytest.raises(UsageError, match="1 samplings for 2 conversations"):
        model.generate(CONVERSATIONS[:2], [GREEDY])


def test_streamed_pieces_are_the_answer(model: LoadedModel) -> None:
    *pieces, last = model.stream(CONVERSATIONS[0], GREEDY)
    assert [last] == model.generate(CONVERSATIONS[:1], GREEDY)
    assert "".join(map(str, pieces)) == model.generate(CONVERSATIONS[:1], GREEDY)[0].text
