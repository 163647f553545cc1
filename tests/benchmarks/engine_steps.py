"""Steps that `test_engine.py` measures, each in a process of its own: STEP ARGUMENTS → JSON.

Rivals take turns within a round, each round in another order, so that a busy machine is busy for
all of them.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULES = ("os", "json", "pathlib", "random", "textwrap", "shutil", "statistics", "string")
TOKENS = 32
STATIC = (16, 32, 64)
"""Batches that are tried for transformers' own `generate`."""


def conversations(n: int) -> list[list[dict[str, str]]]:
    """Questions about functions of the standard library, some short and some long."""
    found = [
        f"{name}{inspect.signature(function)}\n{inspect.getdoc(function) or ''}"[:600]
        for module in map(importlib.import_module, MODULES)
        for name, function in sorted(inspect.getmembers(module, inspect.isfunction))
    ]
    asked = [f"Explain this function in one sentence: {text}" for text in found]
    return [[{"role": "user", "content": text}] for text in random.Random(0).sample(asked, n)]


def side(base: str, adapter: str | None) -> Any:
    from llmops.files import digest
    from llmops.records import BaseModel, ModelFiles

    record = BaseModel("base", "models:/base/1", digest.of_model(Path(base)), Path(base))
    folder = None if adapter is None else Path(adapter)
    name = None if folder is None else digest.of_model(folder)
    return ModelFiles(adapter or "base", "models:/bot/1", record, folder, name, None)


def engine(sides: list[Any]) -> Any:
    from llmops.engine.local.engine import LocalEngine
    from llmops.records import LoadOptions

    return LocalEngine(sides, options=LoadOptions(dtype="float32", device="cpu"))


def answered(ours: Any, one: Any, asked: list[Any], sampling: Any) -> list[Any]:
    """Answers of one side."""
    from llmops.engine import Request

    requests = [Request(one, messages, sampling, i) for i, messages in enumerate(asked)]
    return [answer for _, answer in ours.answer(requests)]


def rounds(rivals: dict[str, Callable[[], object]], n: int) -> dict[str, list[float]]:
    """Seconds of each rival in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for i in range(n):
        for name in random.Random(i).sample(sorted(rivals), len(rivals)):
            begun = time.perf_counter()
            rivals[name]()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def static(model: Any, tokenizer: Any, prompts: list[str], rows: int) -> int:
    """What a user of transformers writes, prompts sorted by length; returns generated tokens."""
    import torch

    told = 0
    ordered = sorted(prompts, key=len)
    for begin in range(0, len(ordered), rows):
        batch = tokenizer(ordered[begin : begin + rows], return_tensors="pt", padding=True)
        with torch.inference_mode():
            ids = model.generate(**batch, max_new_tokens=TOKENS, do_sample=False)
        told += int((ids[:, batch["input_ids"].shape[1] :] != tokenizer.pad_token_id).sum())
    return told


def throughput(base: str, prompts: str, n: str) -> dict[str, Any]:
    """The bare base: our engine beside `model.generate` at each static batch."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llmops.records import Sampling

    asked, bare = conversations(int(prompts)), side(base, None)
    ours = engine([bare])
    tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    texts = [ours.render(one) for one in asked]
    rivals: dict[str, Callable[[], object]] = {
        f"static {rows}": lambda rows=rows: static(model, tokenizer, texts, rows) for rows in STATIC
    }
    rivals["ours"] = lambda: answered(ours, bare, asked, Sampling(max_tokens=TOKENS))
    answers = answered(ours, bare, asked, Sampling(max_tokens=TOKENS))
    told = {"ours": sum(answer.tokens for answer in answers)}
    told["static"] = static(model, tokenizer, texts, STATIC[0])
    return {"seconds": rounds(rivals, int(n)), "tokens": told}


def versions(base: str, adapters: str, prompts: str, n: str) -> dict[str, Any]:
    """Several versions: all in one call, and one side after the other."""
    from llmops.engine.requests import Request
    from llmops.records import Sampling

    asked, sampling = conversations(int(prompts)), Sampling(max_tokens=TOKENS)
    sides = [side(base, adapter or None) for adapter in adapters.split(",")]
    ours = engine(sides)
    requests = [
        Request(one, messages, sampling, (one.digest, i))
        for one in sides
        for i, messages in enumerate(asked)
    ]

    def apart() -> list[Any]:
        return [a for one in sides for a in answered(ours, one, asked, sampling)]

    rivals = {"together": lambda: list(ours.answer(requests)), "one at a time": apart}
    return {"seconds": rounds(rivals, int(n))}


def invariance(base: str, adapters: str, prompts: str) -> dict[str, Any]:
    """Greedy answers in float32: all in batches of 64 that mix the sides, and each alone."""
    from llmops.engine.requests import Request
    from llmops.records import Sampling

    sides = [side(base, adapter or None) for adapter in adapters.split(",")]
    ours = engine(sides)
    asked = [
        Request(one, messages, Sampling(max_tokens=TOKENS), (one.digest, i))
        for one in sides
        for i, messages in enumerate(conversations(int(prompts)))
    ]
    together, alone = (dict(ours.answer(asked, batch_size=size)) for size in (64, 1))
    differing = sum(together[key] != alone[key] for key in alone)
    return {"answers": len(asked), "differing": differing}


def memory(base: str, adapters: str) -> dict[str, Any]:
    """Peak resident bytes of an engine that has answered."""
    from llmops.records import Sampling

    sides = [side(base, adapter) for adapter in adapters.split(",")]
    ours = engine(sides)
    answered(ours, sides[0], conversations(8), Sampling(max_tokens=8))
    return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


if __name__ == "__main__":
    result = globals()[sys.argv[1]](*sys.argv[2:])
    Path(os.environ["STEP_RESULT"]).write_text(json.dumps(result))
