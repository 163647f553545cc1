"""Several sides in one batch say what each says alone."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sides import (
    CONVERSATIONS,
    GREEDY,
    answer_all,
    generate,
    score,
    score_all,
    side_of,
    trained,
    write_adapter,
)

from llmops.engine.local import mixed_adapters
from llmops.engine.local.engine import LocalEngine
from llmops.engine.local.mixed_adapters import Mixture
from llmops.engine.requests import Request, Turn
from llmops.records import Answer, LoadOptions, ModelFiles, Sampling

torch = pytest.importorskip("torch")
Count = Callable[[LocalEngine], list[int]]
FLOAT32 = LoadOptions(dtype="float32")
SPECIAL: dict[str, dict[str, Any]] = {
    "dora": {"use_dora": True},
    "head": {"modules_to_save": ["lm_head"]},
    "input": {"target_modules": ["q_proj", "embed_tokens"]},
}
RESPONSES = ["Wrap a text.", "Split.", "", "x" * 40, "a b", "Return\nit.", "None", "Join."]


def asked(sides: list[ModelFiles], sampling: Sampling = GREEDY) -> list[Request]:
    return [Request(side, messages, sampling) for side in sides for messages in CONVERSATIONS]


def alone(engine: LocalEngine, requests: list[Request]) -> list[Answer]:
    return [
        generate(engine, one.side, [one.messages], one.sampling, batch_size=1)[0]
        for one in requests
    ]


@pytest.fixture
def counted() -> Iterator[Count]:
    """Rows of each pass through a model from then on."""
    hooks = []

    def count(engine: LocalEngine) -> list[int]:
        rows: list[int] = []
        embeddings = engine.model.get_input_embeddings()
        hooks.append(
            embeddings.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
        )
        return rows

    yield count
    for hook in hooks:
        hook.remove()


def special(folder: Path, directory: Path, kind: str) -> ModelFiles:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT on embeddings among the targets
        trained(folder, seed=5, **SPECIAL[kind]).save_pretrained(
            directory, save_embedding_layers=False
        )
    return side_of(folder, directory)


def test_a_mixed_batch_says_what_each_side_says_alone(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles, counted: Count
) -> None:
    requests = asked([base, tuned, other])
    random.Random(1).shuffle(requests)
    expected = alone(engine, requests)
    rows = counted(engine)
    for size in (2, 5, 24):
        assert answer_all(engine, requests, batch_size=size) == expected
    assert max(rows) > 16  # so all three sides share it
    assert len({answer.text for answer in expected}) > 16  # so they are not all the same


def test_the_bare_base_in_a_mixed_batch_is_an_engine_without_adapters(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles
) -> None:
    bare = LocalEngine([base], options=FLOAT32)
    mixed = answer_all(engine, asked([tuned, base, other]), batch_size=24)
    assert mixed[8:16] == generate(bare, base, CONVERSATIONS, GREEDY, batch_size=1)
    ids = torch.arange(3, 43).reshape(2, 20)
    with torch.inference_mode():
        expected = bare.model(ids[:1].repeat(2, 1)).logits
        engine.scheduler.activate(None)
        with engine.scheduler.mixture.over([tuned.adapter_digest, None]):
            found = engine.model(ids[:1].repeat(2, 1)).logits
    assert torch.equal(found[1], expected[1])
    assert not torch.equal(found[0], expected[0])


def test_each_row_is_what_peft_computes(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles
) -> None:
    ids = torch.arange(3, 83).reshape(4, 20)
    sides = [base, tuned, tuned, other]
    with torch.inference_mode():
        engine.scheduler.activate(None)
        with engine.scheduler.mixture.over([side.adapter_digest for side in sides]):
            mixed = engine.model(ids).logits
        for i, side in enumerate(sides):
            engine.scheduler.activate(side.adapter_digest)
            assert torch.allclose(mixed[i], engine.model(ids[i : i + 1]).logits[0], atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "even"),
    [("aabb", True), ("-ab", True), ("--aabb", True), ("abbb", False), ("-a", False)],
)
def test_sides_that_share_a_batch_evenly_are_computed_as_one(
    folder: Path, base: ModelFiles, tuned: ModelFiles, rows: str, even: bool
) -> None:
    copy = side_of(folder, write_adapter(folder, folder.with_name(f"copy-{rows}"), seed=9))
    engine = LocalEngine([base, tuned, copy], options=FLOAT32)
    sides = [{"-": base, "a": tuned, "b": copy}[row] for row in rows]
    ids = torch.arange(3, 3 + 20 * len(rows)).reshape(len(rows), 20)
    names = [side.adapter_digest for side in sides]
    layer = engine.scheduler.mixture._layers[0]
    parts = [mixed_adapters._part(layer, *one) for one in mixed_adapters._ranges(names)]
    assert (mixed_adapters._stacked(parts) is not None) == even
    with torch.inference_mode():
        engine.scheduler.activate(None)
        with engine.scheduler.mixture.over(names):
            mixed = engine.model(ids).logits
        for i, side in enumerate(sides):
            engine.scheduler.activate(side.adapter_digest)
            assert torch.allclose(mixed[i], engine.model(ids[i : i + 1]).logits[0], atol=1e-4)


def test_between_batches_the_first_side_is_active(
    folder: Path, base: ModelFiles, tuned: ModelFiles, other: ModelFiles
) -> None:
    engine = LocalEngine([tuned, base, other], options=FLOAT32)
    ids = torch.arange(3, 43).reshape(2, 20)
    with torch.inference_mode():
        before = engine.model(ids).logits
        answer_all(engine, asked([base, other]))
        assert torch.equal(engine.model(ids).logits, before)


def test_nothing_stays_on_the_model(
    engine: LocalEngine, tuned: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(engine.model, "generate", fail)
    with pytest.raises(ValueError, match="no"):
        generate(engine, tuned, CONVERSATIONS, GREEDY)
    layers = [layer.get_base_layer() for layer in engine.scheduler.mixture._layers]
    assert len(layers) > 7
    assert not any(layer._forward_hooks for layer in layers)


@pytest.mark.parametrize("kind", SPECIAL)
def test_an_adapter_that_is_more_than_lora_has_batches_of_its_own(
    folder: Path, base: ModelFiles, tuned: ModelFiles, tmp_path: Path, kind: str, counted: Count
) -> None:
    side = special(folder, tmp_path / kind, kind)
    engine = LocalEngine([base, tuned, side], options=FLOAT32)
    assert [engine.scheduler.mixture.can(one.adapter_digest) for one in (base, tuned, side)] == [
        True,
        True,
        False,
    ]
    requests = asked([base, side, tuned])
    expected = [
        generate(LocalEngine([one.side], options=FLOAT32), one.side, [one.messages], GREEDY)[0]
        for one in requests
    ]
    rows = counted(engine)
    assert answer_all(engine, requests, batch_size=16) == expected
    assert max(rows) == 16
    assert 8 in rows


def test_a_layer_that_does_not_see_its_batch_row_by_row(
    folder: Path,
    tuned: ModelFiles,
    other: ModelFiles,
    monkeypatch: pytest.MonkeyPatch,
    counted: Count,
) -> None:
    """As the experts of a mixture do: they see some tokens of all rows, one below the other."""
    engine = LocalEngine([tuned, other], options=FLOAT32)
    expected = alone(engine, asked([tuned, other]))
    for module in engine.model.modules():
        if type(module).__name__.endswith("MLP"):
            real = module.forward
            monkeypatch.setattr(
                module,
                "forward",
                lambda x, real=real: real(x.reshape(-1, x.shape[-1])).reshape(x.shape),
            )
    assert answer_all(engine, asked([tuned, other])) == expected
    rows = counted(engine)
    assert answer_all(engine, asked([tuned, other])) == expected
    assert max(rows) == 8, "it is not tried again"


def test_sides_in_a_batch_have_their_own_chat_format(
    folder: Path, tuned: ModelFiles, other: ModelFiles, tmp_path: Path
) -> None:
    (tmp_path / "chat_template.jinja").write_text(
        "{% for message in messages %}# {{ message['content'] }}\n{% endfor %}>"
    )
    (tmp_path / "generation_config.json").write_text(
        '{"eos_token_id": [5, 9, 40, 41, 42], "repetition_penalty": 3.0, "suppress_tokens": [7, 8]}'
    )
    own = replace(other, adapter_digest=f"{other.adapter_digest}+", tokenizer_dir=tmp_path)
    engine = LocalEngine([tuned, own, other], options=FLOAT32)
    requests = asked([tuned, own, other])
    expected = alone(engine, requests)
    assert answer_all(engine, requests, batch_size=24) == expected
    assert expected[8:16] != expected[16:], "or the chat format has no effect"


def test_a_batch_is_cut_down_to_the_rows_that_go_on(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, counted: Count
) -> None:
    lengths = [2, 3, 4, 6, 8, 12, 40, 60] * 2
    drawn = [Sampling(n, temperature=i % 2, seed=i) for i, n in enumerate(lengths)]
    requests = [
        replace(one, sampling=sampling)
        for one, sampling in zip(asked([base, tuned]), drawn, strict=True)
    ]
    expected = alone(engine, requests)
    rows = counted(engine)
    assert answer_all(engine, requests) == expected
    assert rows[0] == 16
    generated = sum(answer.tokens for answer in expected)
    assert generated < 16 * 60 / 2.5, "no row ended early"
    assert sum(rows) < 1.4 * generated, "ended rows keep the batch busy"


def test_likelihoods_of_several_sides_together(
    engine: LocalEngine, base: ModelFiles, tuned: ModelFiles, other: ModelFiles, counted: Count
) -> None:
    sides = [base, tuned, other]
    turns = [
        Turn(side, messages, response)
        for messages, response in zip(CONVERSATIONS, RESPONSES, strict=True)
        for side in sides
    ]
    rows = counted(engine)
    together = score_all(engine, turns)
    assert rows == [6, 6, 6, 6]  # of 8 at most: two prompts of three sides
    for i, side in enumerate(sides):
        own = score(engine, side, CONVERSATIONS, RESPONSES)
        for (ours, n), (theirs, m) in zip(together[i::3], own, strict=True):
            assert (ours, n) == (pytest.approx(theirs, abs=1e-4), m)


def test_ranks_may_differ_and_an_adapter_may_leave_layers_out(
    folder: Path, base: ModelFiles, tuned: ModelFiles, tmp_path: Path
) -> None:
    trained(folder, seed=7, r=3, target_modules=["v_proj"]).save_pretrained(tmp_path / "v")
    sides = [base, side_of(folder, tmp_path / "v"), tuned]
    sides.append(side_of(folder, write_adapter(folder, tmp_path / "r8", seed=8, rank=8)))
    engine = LocalEngine(sides, options=FLOAT32)
    requests = asked(sides)
    assert answer_all(engine, requests) == alone(engine, requests)


def test_a_model_without_adapters_has_nothing_to_mix(engine: LocalEngine, base: ModelFiles) -> None:
    bare = LocalEngine([base], options=FLOAT32)
    assert Mixture(bare.model).can(None)
    assert not Mixture(bare.model).can("a")
    assert answer_all(bare, asked([base])) == generate(engine, base, CONVERSATIONS, GREEDY)
