"""Sides of an engine made of directories, and adapters of every kind for the tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmops.files import digest
from llmops.records import Answer, BaseModel, ModelFiles, Sampling

PROMPTS = [
    "def wrap(text, width=70):",
    "Split a pathname.",
    "x",
    "Return the last access time of a file. Join two or more pathname components. system user",
    "def split(p): def getatime(filename):",
    "Write a one-line docstring for this Python function.",
    "a file, a path, a name",
    "assistant",
]
CONVERSATIONS = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
GREEDY = Sampling(max_tokens=16)


def side_of(
    base: Path, adapter: Path | None = None, *, tokenizer_dir: Path | None = None
) -> ModelFiles:
    record = BaseModel("tiny", "models:/tiny/1", digest.of_model(base), base)
    return ModelFiles(
        label="base" if adapter is None else adapter.name,
        uri="models:/bot/1",
        base=record,
        adapter_dir=adapter,
        adapter_digest=None if adapter is None else digest.of_model(adapter),
        model_id=None,
        tokenizer_dir=tokenizer_dir,
    )


def texts(answers: list[Answer]) -> list[str]:
    return [answer.text for answer in answers]


def trained(base: Path, *, seed: int = 1, **settings: Any) -> Any:
    """A ``PeftModel`` over the base whose trainable weights are all moved, as if trained."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    settings = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | settings
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def write_adapter(base: Path, folder: Path, *, seed: int, rank: int = 4) -> Path:
    trained(base, seed=seed, r=rank, init_lora_weights=False).save_pretrained(folder)
    return folder
