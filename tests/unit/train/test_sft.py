from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops import flavor
from llmops.data import prepare
from llmops.models.adapters import WEIGHTS
from llmops.recipe.load import load_recipe
from llmops.records import BaseModel
from llmops.store import artifacts, connection
from llmops.train import train
from llmops.train.sft import _trainer, parameters


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


def test_a_finished_training_is_not_repeated(store: str, own_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(own_recipe, ["train.max_steps=2"])
    data = prepare(recipe.data, tmp_path / "data", name="own", seed=1)
    base = flavor.ensure_base(recipe.train.base)
    first = train(recipe, data, base, tmp_path / "work")
    assert first.steps == 2
    assert first.tokens > 0
    assert train(recipe, data, base, tmp_path / "work") == first


def test_a_training_whose_run_is_gone_continues_in_a_new_run(
    store: str, own_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load_recipe(own_recipe, ["train.max_steps=2"])
    data = prepare(recipe.data, tmp_path / "data", name="own", seed=1)
    base = flavor.ensure_base(recipe.train.base)
    first = train(recipe, data, base, tmp_path / "work")
    weights = (first.adapter_dir / WEIGHTS).read_bytes()
    connection.client().delete_run(first.run_id)
    second = train(recipe, data, base, tmp_path / "work")
    assert f"run {first.run_id} is no longer in the store" in capsys.readouterr().err
    assert second.run_id != first.run_id
    assert second.resumed_at == 2, "its checkpoints are kept"
    assert (second.adapter_dir / WEIGHTS).read_bytes() == weights
    logged = connection.client().get_run(second.run_id)
    assert logged.data.params["base_digest"] == base.digest
    assert {entry.dataset.name for entry in logged.inputs.dataset_inputs} >= {"own-train"}


def test_a_lora_setting_has_one_name_on_run_and_logged_model(
    store: str, own_recipe: Path, base: BaseModel
) -> None:
    recipe = load_recipe(own_recipe)
    found = parameters(recipe.train, recipe.seed, base)
    lora = {f"lora_{name}": value for name, value in recipe.train.lora.model_dump().items()}
    assert lora.items() <= found.items()
    assert not set(recipe.train.lora.model_dump()) & set(found), "no second name"


def test_conversations_are_trained_on_and_logged_as_they_are(
    store: str, own_recipe: Path, tmp_path: Path
) -> None:
    rows = [
        [
            {"role": "user", "content": f"Split a pathname {i}."},
            {"role": "assistant", "content": f"Return the last access time {i}."},
        ]
        for i in range(40)
    ]
    chats = tmp_path / "chats.jsonl"
    chats.write_text("\n".join(json.dumps({"messages": turns}) for turns in rows))
    changes = ["train.max_steps=2", f"data.path={chats}", "data.messages=messages"]
    recipe = load_recipe(own_recipe, [*changes, "data.system=Be brief."])
    data = prepare(recipe.data, tmp_path / "data", name="own", seed=1)
    trained = train(recipe, data, flavor.ensure_base(recipe.train.base), tmp_path / "work")
    run = connection.client().get_run(trained.run_id)
    assert {each.dataset.name for each in run.inputs.dataset_inputs} >= {"own-train", "own-test"}
    logged = artifacts.read_json(trained.run_id, "data/summary.json")
    assert (logged["read"], logged["duplicates"], logged["labels"]) == (40, 0, None)
