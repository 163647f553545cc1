"""Sides of an engine made of directories, and adapters of every kind for the tiny model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmops.engine import Engine, Key, Request, Turn
from llmops.engine.chat_format import Messages
from llmops.files import digest
from llmops.records import Answer, BaseModel, Likelihood, ModelFiles, Sampling, Side

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


def answer_all(
    engine: Engine, requests: Sequence[Request], *, batch_size: int | None = None
) -> list[Answer]:
    """Answers in the order of the requests, whose own keys are not used."""
    keyed = [replace(request, key=i) for i, request in enumerate(requests)]
    given: dict[Key, Answer] = dict(engine.answer(keyed, batch_size=batch_size))
    return [given[i] for i in range(len(requests))]


def generate(
    engine: Engine,
    side: Side,
    conversations: Sequence[Messages | str],
    sampling: Sampling | Sequence[Sampling],
    *,
    batch_size: int | None = None,
) -> list[Answer]:
    """Answers of one side, in the order of the conversations."""
    samplings = [sampling] * len(conversations) if isinstance(sampling, Sampling) else sampling
    requests = [Request(side, *row) for row in zip(conversations, samplings, strict=True)]
    return answer_all(engine, requests, batch_size=batch_size)


def score_all(engine: Engine, turns: Sequence[Turn]) -> list[Likelihood | None]:
    """Likelihoods in the order of the turns, whose own keys are not used."""
    keyed = [replace(turn, key=i) for i, turn in enumerate(turns)]
    given: dict[Key, Likelihood | None] = dict(engine.likelihood(keyed))
    return [given[i] for i in range(len(turns))]


def score(
    engine: Engine, side: ModelFiles, conversations: Sequence[Messages], responses: Sequence[str]
) -> list[Likelihood | None]:
    """Likelihoods under one side, in the order of the conversations."""
    return score_all(
        engine, [Turn(side, *row) for row in zip(conversations, responses, strict=True)]
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
