"""The common beginning of a batch's prompts is computed once, and no answer differs for it."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sides import PROMPTS, answer_all, side_of, write_adapter

from llmops.engine.local.decode import prefix
from llmops.engine.requests import Request
from llmops.records import LoadOptions, ModelFiles, Sampling

if TYPE_CHECKING:
    from llmops.engine.local.engine import LocalEngine

torch = pytest.importorskip("torch")
INSTRUCTION = "Write a one-line docstring for this Python function, and nothing else: " * 3
SAMPLINGS = [Sampling(max_tokens=n, temperature=t, seed=n) for n, t in ((12, 0), (5, 1.0))]
Computed = Callable[["LocalEngine"], list[int]]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Computed]:
    """Tokens of each pass of an engine's model."""
    hooks = []

    def watch(engine: LocalEngine) -> list[int]:
        found: list[int] = []
        layer = engine.model.get_input_embeddings()
        hooks.append(
            layer.register_forward_hook(lambda _, given, __: found.append(given[0].numel()))
        )
        return found

    yield watch
    for hook in hooks:
        hook.remove()


def asked(sides: list[ModelFiles], instruction: str = INSTRUCTION) -> list[Request]:
    """Each side all prompts, in any order."""
    found = [
        Request(side, [{"role": "user", "content": instruction + prompt}], SAMPLINGS[i % 2])
        for side in sides
        for i, prompt in enumerate(PROMPTS)
    ]
    random.Random(2).shuffle(found)
    return found


def alone(engine: LocalEngine, requests: list[Request]) -> list[object]:
    return [answer_all(engine, [one])[0] for one in requests]


def test_answers_are_those_of_each_prompt_alone_and_fewer_tokens_are_computed(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles, computed: Computed
) -> None:
    requests = asked([base, tuned, other])
    expected = alone(engine, requests)
    passes = computed(engine)
    assert answer_all(engine, requests, batch_size=24) == expected
    lengths = [len(engine.token_ids(engine.render(one.messages))) for one in requests]
    shared, rest = passes[:2]
    assert shared % 3 == 0, "a pass for the beginning, a row for each side"
    assert rest == 24 * (max(lengths) - shared // 3)
    assert shared // 3 > 60
    assert len({answer.text for answer in expected}) > 16  # so they are not all the same


def test_too_little_in_common_has_no_pass_of_its_own(
    engine: LocalEngine, tuned: ModelFiles, computed: Computed
) -> None:
    requests = asked([tuned], instruction="")
    passes = computed(engine)
    answer_all(engine, requests[:2])
    lengths = [len(engine.token_ids(engine.render(one.messages))) for one in requests[:2]]
    assert passes[0] == 2 * max(lengths)


def test_prompts_that_are_all_the_same_still_have_a_last_token_to_compute(
    engine: LocalEngine, tuned: ModelFiles, computed: Computed
) -> None:
    request = asked([tuned])[0]
    requests = [replace(request, sampling=Sampling(8, temperature=1.0, seed=i)) for i in range(9)]
    expected = alone(engine, requests)
    passes = computed(engine)
    assert answer_all(engine, requests) == expected
    assert passes[1] == 9
    assert len({answer.text for answer in expected}) > 1


def test_a_repetition_penalty_sees_the_whole_prompt(folder: Path, tmp_path: Path) -> None:
    from llmops.engine.local.engine import LocalEngine

    strict = shutil.copytree(folder, tmp_path / "strict")
    (strict / "generation_config.json").write_text(json.dumps({"repetition_penalty": 1.8}))
    side = side_of(strict, write_adapter(strict, tmp_path / "adapter", seed=1))
    engine = LocalEngine([side], options=LoadOptions(dtype="float32"))
    requests = asked([side])
    assert answer_all(engine, requests) == alone(engine, requests)


def test_a_model_with_a_window_is_left_as_it_is(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, MistralConfig

    from llmops.engine.local.engine import LocalEngine

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=16,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.5,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "window")
    tokenizer.save_pretrained(tmp_path / "window")
    side = side_of(tmp_path / "window")
    engine = LocalEngine([side], options=LoadOptions(dtype="float32"))
    requests = asked([side])
    expected = alone(engine, requests)
    assert answer_all(engine, requests) == expected
    assert len({answer.text for answer in expected}) > 4


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, True),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, True),
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, False),
        ({"rope_parameters": None}, False),
        ({"alibi": True}, False),
    ],
)
def test_only_where_places_follow_the_mask(
    engine: LocalEngine, settings: dict[str, object], shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import DynamicCache

    base = engine.model.get_base_model()
    cache = DynamicCache(config=base.config)
    changed = copy.deepcopy(base.config)
    for name, value in settings.items():
        setattr(changed, name, value)
    monkeypatch.setattr(base, "config", changed)
    assert prefix.can_share(engine.model, cache) == shares


def test_windows_without_a_cache_of_their_own_answer_as_each_prompt_alone(
    tiny_model: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, GPTNeoConfig, GPTNeoForCausalLM

    from llmops.engine.local.engine import LocalEngine

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    torch.manual_seed(0)
    config = GPTNeoConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_heads=4,
        num_layers=2,
        attention_types=[[["global", "local"], 1]],
        window_size=16,
        max_position_embeddings=1024,
        initializer_range=0.5,
        eos_token_id=tokenizer.eos_token_id,
    )
    GPTNeoForCausalLM(config).save_pretrained(tmp_path / "neo")
    tokenizer.save_pretrained(tmp_path / "neo")
    side = side_of(tmp_path / "neo")
    engine = LocalEngine([side], options=LoadOptions(dtype="float32"))
    requests = asked([side])
    assert answer_all(engine, requests) == alone(engine, requests)


def test_the_mask_hides_what_stands_between_the_beginning_and_the_rest() -> None:
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]])
    assert prefix.masked(mask, 2).tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 0, 0, 1, 1],
        [1, 1, 0, 0, 0, 1],
    ]
    assert torch.equal(prefix.masked(mask, 0), mask)
