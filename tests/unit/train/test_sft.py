from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops import flavor
from llmops.data import prepare
from llmops.errors import DataError
from llmops.recipe.load import load_recipe
from llmops.train import train
from llmops.train.dataset import conversations
from llmops.train.sft import _trainer


def test_the_loss_is_on_the_completion_only(
    store: str, own_recipe: Path, tmp_path: Path, tiny_model: Path
) -> None:
    from transformers import TrainerCallback

    recipe = load_recipe(own_recipe)
    data = prepare(recipe.data, tmp_path / "data", name="own", seed=1)
    base = flavor.ensure_base(recipe.train.base)
    trainer = _trainer(recipe, data, base, tmp_path / "work", TrainerCallback())
    batch = next(iter(trainer.get_train_dataloader()))
    tokenizer = trainer.processing_class
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        learned = tokenizer.decode([i for i in labels.tolist() if i != -100])
        assert learned.strip().startswith("Return the last access time")
        assert learned.strip().endswith("<|im_end|>"), "the model must learn to stop"
        assert "Split a pathname" in tokenizer.decode(ids)


def test_examples_that_do_not_fit_are_refused_not_cut(tmp_path: Path, tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    path = tmp_path / "train.jsonl"
    rows = [
        {"id": "short", "prompt": "a", "completion": "b"},
        {"id": "long", "prompt": "a b " * 99, "completion": "b"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=r"1 example\(s\) exceed train.max_length=64 .* 'long'"):
        conversations(path, AutoTokenizer.from_pretrained(tiny_model), 64)


def test_a_finished_training_is_not_repeated(store: str, own_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(own_recipe, ["train.max_steps=2"])
    data = prepare(recipe.data, tmp_path / "data", name="own", seed=1)
    base = flavor.ensure_base(recipe.train.base)
    first = train(recipe, data, base, tmp_path / "work")
    assert first.steps == 2
    assert first.tokens > 0
    assert train(recipe, data, base, tmp_path / "work") == first
