"""Loading: bit for bit what was trained, on a machine that has the registry alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from llmops import flavor
from llmops.models import bases
from llmops.records import BaseModel, ModelVersion


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
