"""Answers and likelihoods of one side, through the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from llmops.engine.cache import ResultCache, key
from llmops.engine.local import LocalEngine
from llmops.engine.scoring import SCORE_BATCH
from llmops.progress import progress
from llmops.records import Answer, Example, ModelFiles, Sampling


def answers(
    engine: LocalEngine,
    side: ModelFiles,
    examples: Sequence[Example],
    sampling: Sampling,
    cache: ResultCache,
    *,
    batch_size: int,
) -> list[Answer]:
    """One greedy answer for each example; those in the cache are not generated again."""
    keys = [key(side, "answer", example.messages, asdict(sampling)) for example in examples]
    found: dict[int, Answer] = {}
    for i, stored in enumerate(map(cache.get, keys)):
        if stored is not None:
            found[i] = Answer(**stored)
    todo = [i for i in range(len(examples)) if i not in found]
    if todo:
        with progress(len(examples), f"generate {side.label}", initial=len(found)) as shown:

            def keep(batch: list[int], done: list[Answer]) -> None:
                cache.put(
                    {keys[todo[i]]: asdict(answer) for i, answer in zip(batch, done, strict=True)}
                )
                shown.advance(len(batch), f"{sum(a.tokens for a in done)} tokens in the last batch")

            conversations = [examples[i].messages for i in todo]
            done = engine.generate(
                side, conversations, sampling, batch_size=batch_size, on_batch=keep
            )
        found.update(zip(todo, done, strict=True))
    return [found[i] for i in range(len(examples))]


def likelihoods(
    engine: LocalEngine, side: ModelFiles, examples: Sequence[Example], cache: ResultCache
) -> list[tuple[float, int]]:
    """Log-likelihood and token count of each expected answer under one side."""
    keys = [
        key(side, "turn-likelihood", example.messages, example.expected) for example in examples
    ]
    found: dict[int, tuple[float, int]] = {}
    for i, stored in enumerate(map(cache.get, keys)):
        if stored is not None:
            found[i] = (float(stored[0]), int(stored[1]))
    todo = [i for i in range(len(examples)) if i not in found]
    if todo:
        with progress(len(examples), f"score {side.label}", initial=len(found)) as shown:
            for start in range(0, len(todo), SCORE_BATCH):
                batch = todo[start : start + SCORE_BATCH]
                scores = engine.log_likelihood(
                    side,
                    [examples[i].messages for i in batch],
                    [examples[i].expected or "" for i in batch],
                )
                cache.put({keys[i]: score for i, score in zip(batch, scores, strict=True)})
                found.update(zip(batch, scores, strict=True))
                shown.advance(len(batch))
    return [found[i] for i in range(len(examples))]
