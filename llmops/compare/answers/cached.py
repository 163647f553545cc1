"""Answers and likelihoods of all sides together, through the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TypeVar

from llmops.compare.answers.engines import Asked, Engines
from llmops.compare.cache import ResultCache, key
from llmops.engine.requests import Turn
from llmops.progress import progress
from llmops.records import Answer, Likelihood

Result = TypeVar("Result")


def answers(
    engines: Engines, asked: Sequence[Asked], cache: ResultCache, *, kind: str = "answer"
) -> list[Answer]:
    """Answers requests; what is in the cache, or asked twice, is generated once.

    Args:
        engines: Of the sides that are asked.
        asked: To any of them.
        cache: What a server did not answer is not kept: the next try may do better.
        kind: Keeps answers of different engines apart.

    Returns:
        Answers in the order of the requests.
    """
    keys = [key(one.side, kind, one.messages, asdict(one.sampling)) for one in asked]
    known = stored(keys, cache, read_answer)
    todo = _missing(keys, known)
    if todo:
        with progress(len(asked), "generate", initial=len(asked) - len(todo)) as shown:

            def keep(batch: list[int], done: list[Answer]) -> None:
                cache.put(
                    {
                        keys[todo[i]]: asdict(answer)
                        for i, answer in zip(batch, done, strict=True)
                        if answer.error is None or engines.computes(asked[todo[i]].side)
                    }
                )
                shown.advance(len(batch), f"{sum(a.tokens for a in done)} tokens in the last batch")

            done = engines.generate([asked[i] for i in todo], keep)
        known |= {keys[i]: answer for i, answer in zip(todo, done, strict=True)}
    return [known[k] for k in keys]


def likelihoods(
    engines: Engines, turns: Sequence[Turn], cache: ResultCache
) -> list[Likelihood | None]:
    """Log-likelihood and token count of given answers; ``None`` for one that does not fit."""
    keys = [key(turn.side, "turn-likelihood", turn.messages, turn.response) for turn in turns]
    known: dict[str, Likelihood | None] = {**stored(keys, cache, _likelihood)}
    todo = _missing(keys, known)
    if todo:
        with progress(len(turns), "score", initial=len(turns) - len(todo)) as shown:

            def keep(batch: list[int], done: list[Likelihood | None]) -> None:
                found = zip(batch, done, strict=True)
                cache.put({keys[todo[i]]: value for i, value in found if value is not None})
                shown.advance(len(batch))

            done = engines.log_likelihoods([turns[i] for i in todo], keep)
        known |= {keys[i]: found for i, found in zip(todo, done, strict=True)}
    return [known[k] for k in keys]


def read_answer(value: Any) -> Answer:
    """An answer as it was kept.

    Raises:
        TypeError: It is something else.
    """
    answer = Answer(**value)
    if not isinstance(answer.text, str):
        raise TypeError("no text")
    return answer


def _likelihood(value: Any) -> Likelihood:
    return float(value[0]), int(value[1])


def stored(
    keys: Sequence[str], cache: ResultCache, read: Callable[[Any], Result]
) -> dict[str, Result]:
    """Key → result of those that are in the cache, and are what they should be."""
    found = {}
    for k in dict.fromkeys(keys):
        value = cache.get(k)
        with suppress(TypeError, ValueError, LookupError):  # of another shape: it is only a cache
            if value is not None:
                found[k] = read(value)
    return found


def _missing(keys: Sequence[str], known: Mapping[str, object]) -> list[int]:
    """Index of the first request for each key that is not known."""
    first = {k: i for i, k in reversed(list(enumerate(keys)))}
    return sorted(i for k, i in first.items() if k not in known)
