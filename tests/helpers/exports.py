"""What an export answers, asked with transformers and PEFT alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

IDS = [[5, 6, 7, 8, 9]]


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.tensor(IDS)).logits


def merged_logits(directory: Path) -> torch.Tensor:
    return logits_of(AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32))


def adapter_logits(base: Path, adapter: Path) -> torch.Tensor:
    return logits_of(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter))


def special_adapter(base: Path, directory: Path, **options: Any) -> Path:
    """An adapter of any kind whose weights are not zero."""
    torch.manual_seed(5)
    config = LoraConfig(
        **{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **options},
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, parameter in tuned.named_parameters():
        if "modules_to_save" in name:
            parameter.data += torch.randn_like(parameter)
    tuned.save_pretrained(directory, save_embedding_layers=False)
    return directory


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
