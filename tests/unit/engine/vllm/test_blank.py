"""The adapter of no effect."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from llmops.engine.vllm import blank
from llmops.models import adapters
from llmops.records import ModelFiles


def test_it_has_the_shapes_of_the_adapter_and_no_effect(tuned: ModelFiles, tmp_path: Path) -> None:
    assert tuned.adapter_dir is not None
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank" / "rest").touch()
    folder = blank.write(tuned.adapter_dir, tmp_path / "blank")
    mine, theirs = (load_file(one / adapters.WEIGHTS) for one in (folder, tuned.adapter_dir))
    assert {name: w.shape for name, w in mine.items()} == {n: w.shape for n, w in theirs.items()}
    assert sorted(path.name for path in folder.iterdir()) == [adapters.CONFIG, adapters.WEIGHTS]
    base = AutoModelForCausalLM.from_pretrained(tuned.base.directory)
    ids = torch.arange(8)[None]
    expected = base(ids).logits
    assert not torch.equal(PeftModel.from_pretrained(base, tuned.adapter_dir)(ids).logits, expected)
    base = AutoModelForCausalLM.from_pretrained(tuned.base.directory)
    assert torch.equal(PeftModel.from_pretrained(base, folder)(ids).logits, expected)


def test_copies_fill_the_slots_and_the_last_is_the_one_that_stays() -> None:
    assert blank.names(4) == ["llmops-blank-1", "llmops-blank-2", "llmops-blank"]
    assert blank.names(2) == ["llmops-blank"]
