"""What an adapter's file holds besides the adapter, and the names that other releases gave it."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from sides import trained

from llmops.errors import IntegrityError, UsageError
from llmops.files import digest
from llmops.models import adapters, peft_config
from llmops.models.adapter_tensors import check_vocabulary
from llmops.records import BaseModel

HEAD = "base_model.model.lm_head.base_layer.weight"


def record(folder: Path) -> BaseModel:
    return BaseModel("tiny", "models:/tiny/1", digest.of_model(folder), folder)


def with_embedding(folder: Path, target: Path, **settings: Any) -> Path:
    """An adapter that PEFT saved with a copy of the embedding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT on embeddings among the targets
        trained(folder, **settings).save_pretrained(target, save_embedding_layers=True)
    return target


def changed(adapter: Path, **tensors: Any) -> Path:
    file = adapter / adapters.WEIGHTS
    save_file({**load_file(file), **tensors}, file, metadata={"format": "pt"})
    return adapter


@pytest.mark.filterwarnings("ignore:.*tie_word_embeddings")  # PEFT on merging
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"], "use_dora": True},
        {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    ],
)
def test_copies_of_the_embedding_are_found(
    tiny_model: Path, tmp_path: Path, tied: bool, settings: dict[str, Any]
) -> None:
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    if tied:
        config = json.loads((base / "config.json").read_text())
        (base / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
        weights = load_file(base / "model.safetensors")
        del weights["lm_head.weight"]
        save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    adapter = with_embedding(base, tmp_path / "adapter", **settings)
    repeated = peft_config.check_fits(adapter, record(base))
    assert repeated
    assert all("lora" not in name for name in repeated)
    # Without the copies it is the adapter that PEFT builds, and nothing more.
    rest = {k: v for k, v in load_file(adapter / adapters.WEIGHTS).items() if k not in repeated}
    save_file(rest, adapter / adapters.WEIGHTS, metadata={"format": "pt"})
    assert peft_config.check_fits(adapter, record(base)) == set()


def test_an_embedding_with_other_values_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapter = with_embedding(tiny_model, tmp_path / "a", target_modules=["q_proj", "lm_head"])
    other = load_file(adapter / adapters.WEIGHTS)[HEAD] + 0.5
    with pytest.raises(UsageError, match=r"lm_head.*other values than in tiny"):
        peft_config.check_fits(changed(adapter, **{HEAD: other}), record(tiny_model))


def test_an_embedding_with_other_rows_is_refused_with_both_numbers(
    tiny_model: Path, tmp_path: Path
) -> None:
    adapter = with_embedding(tiny_model, tmp_path / "a", target_modules=["q_proj", "lm_head"])
    head = load_file(adapter / adapters.WEIGHTS)[HEAD]
    rows = len(head)
    longer = changed(adapter, **{HEAD: head.repeat(2, axis=0)[: rows + 1]})
    says = rf"{rows + 1} rows.* its base tiny has {rows}"
    with pytest.raises(UsageError, match=says) as raised:
        peft_config.check_fits(longer, record(tiny_model))
    assert "merge" in str(raised.value.next_command)


def test_only_the_vocabulary_differs(tmp_path: Path) -> None:
    expected = {"head.lora_B": (340, 4), "q.lora_A": (4, 32)}
    grown = {**expected, "head.lora_B": (341, 4)}
    with pytest.raises(UsageError, match=r"head\.lora_B has 341 rows.*has 340"):
        check_vocabulary(tmp_path, grown, expected, 340, "tiny")
    # Another rank or another base is no matter of the vocabulary.
    check_vocabulary(tmp_path, {**grown, "q.lora_A": (8, 32)}, expected, 340, "tiny")
    check_vocabulary(tmp_path, grown, expected, 500, "tiny")
    check_vocabulary(tmp_path, expected, expected, 340, "tiny")


def experts(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """A tiny Mixtral, and an adapter of its experts as transformers 4 named them."""
    import torch
    from peft import LoraConfig
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "vocab_size": 50}
    config = MixtralConfig(
        **sizes,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
        num_experts_per_tok=1,
    )
    MixtralForCausalLM(config).save_pretrained(folder / "base")
    tensors = {}
    for expert in (0, 1):
        for name in names:
            wide, high = (64, 32) if name == "w2" else (32, 64)
            key = f"base_model.model.model.layers.0.block_sparse_moe.experts.{expert}.{name}"
            tensors[f"{key}.lora_A.weight"] = torch.randn(4, wide).numpy()
            tensors[f"{key}.lora_B.weight"] = torch.randn(high, 4).numpy()
    LoraConfig(r=4, target_modules=list(names), task_type="CAUSAL_LM").save_pretrained(
        folder / "adapter"
    )
    save_file(tensors, folder / "adapter" / adapters.WEIGHTS, metadata={"format": "pt"})
    return folder / "base", folder / "adapter"


@pytest.mark.filterwarnings("ignore:.*_pattern keys did not match")  # PEFT looks among modules only
def test_experts_of_transformers_4_fit_as_peft_joins_them(tmp_path: Path) -> None:
    base, adapter = experts(tmp_path, ("w1", "w2", "w3"))
    assert peft_config.check_fits(adapter, record(base)) == set()
    file = adapter / adapters.WEIGHTS
    tensors = load_file(file)
    tensors.pop(min(tensors))
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"cannot be converted|does not fit"):
        peft_config.check_fits(adapter, record(base))


def test_half_of_a_joined_expert_is_refused(tmp_path: Path) -> None:
    base, adapter = experts(tmp_path, ("w1", "w2"))
    with pytest.raises(IntegrityError, match="does not fit its base"):
        peft_config.check_fits(adapter, record(base))
