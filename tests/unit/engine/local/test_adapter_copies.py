"""An adapter that is copied from another is bit for bit the adapter that PEFT loads."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from sides import trained

from llmops.engine.local import adapter_copies
from llmops.models import adapters, peft_config

torch = pytest.importorskip("torch")
IDS = torch.arange(3, 43).reshape(2, 20)
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ranks by module": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 3}},
    "embeddings": {
        "target_modules": ["q_proj", "embed_tokens"],
        "use_rslora": True,
        "lora_dropout": 0.1,
    },
}


def saved(folder: Path, directory: Path, seed: int, **settings: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT on embeddings among the targets
        trained(folder, seed=seed, **settings).save_pretrained(
            directory, save_embedding_layers=False
        )
    return directory


def loaded(folder: Path, directory: Path, dtype: str) -> Any:
    """A model with one adapter, called "0", by PEFT's own means."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    return PeftModel.from_pretrained(base, directory, adapter_name="0").eval()


def copied(model: Any, directory: Path, name: str) -> None:
    """Copy the structure of the adapter "0" for another directory's weights."""
    config = peft_config.read_config(directory)
    settings = peft_config.plain_settings(config)
    assert settings is not None
    tensors = peft_config.expected_tensors(model, "0")
    source = adapter_copies.original(model, "0", settings, tensors)
    adapter_copies.attach(source, name, directory / adapters.WEIGHTS)
    model.peft_config[name] = config


def logits(model: Any, name: str) -> Any:
    model.set_adapter(name)
    with torch.inference_mode():
        return model(IDS).logits


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_what_peft_loads(folder: Path, tmp_path: Path, kind: str, dtype: str) -> None:
    directories = [saved(folder, tmp_path / str(i), seed=i, **KINDS[kind]) for i in range(3)]
    ours, theirs = (loaded(folder, directories[0], dtype) for _ in range(2))
    for name in ("1", "2"):
        copied(ours, directories[int(name)], name)
        theirs.load_adapter(directories[int(name)], name)
    parameters = dict(ours.named_parameters())
    assert parameters.keys() == dict(theirs.named_parameters()).keys()
    for name, parameter in theirs.named_parameters():
        assert parameters[name].dtype == parameter.dtype
        assert torch.equal(parameters[name], parameter), name
    for name in ("0", "1", "2", "1"):
        assert torch.equal(logits(ours, name), logits(theirs, name))
    assert not torch.equal(logits(ours, "0"), logits(ours, "1"))
    mixed = {"input_ids": IDS[[0] * 4], "adapter_names": ["0", "1", "2", "__base__"]}
    with torch.inference_mode():
        assert torch.equal(ours(**mixed).logits, theirs(**mixed).logits)
        assert torch.equal(
            ours.generate(**mixed, max_new_tokens=8), theirs.generate(**mixed, max_new_tokens=8)
        )


def test_a_copy_does_not_follow_its_file(folder: Path, tmp_path: Path) -> None:
    first, second = (saved(folder, tmp_path / str(i), seed=i) for i in range(2))
    model = loaded(folder, first, "float32")
    copied(model, second, "1")
    before = logits(model, "1")
    with (second / adapters.WEIGHTS).open("r+b") as weights:  # in place, as `cp` over it would
        weights.seek(-4_000, 2)
        weights.write(b"\0" * 4_000)
    assert torch.equal(logits(model, "1"), before)


def test_a_copy_leaves_its_source_as_it_is(folder: Path, tmp_path: Path) -> None:
    first, second = (saved(folder, tmp_path / str(i), seed=i) for i in range(2))
    model = loaded(folder, first, "float32")
    before = logits(model, "0")
    copied(model, second, "1")
    assert torch.equal(logits(model, "0"), before)


def test_a_source_is_described_by_its_layers_and_tensors(folder: Path, tmp_path: Path) -> None:
    model = loaded(
        folder, saved(folder, tmp_path / "q", seed=1, target_modules=["q_proj"]), "float32"
    )
    tensors = peft_config.expected_tensors(model, "0")
    source = adapter_copies.original(model, "0", {}, tensors)
    assert [path.rsplit(".", 1)[1] for path in source.layers] == ["q_proj", "q_proj"]
    assert source.tensors == tensors
    assert adapter_copies.original(model, "another", {}, tensors).layers == {}
