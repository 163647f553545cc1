"""Answers and likelihoods of all sides together, through the cache.

The key of a result in the cache is also the key of its request, so results need no bookkeeping.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from typing import Any, TypeVar

from llmops.compare.answers.engines import Engines
from llmops.compare.cache import ResultCache, key
from llmops.engine import Key, Request, Turn
from llmops.progress import progress
from llmops.records import Answer, Likelihood

Item = TypeVar("Item")
Result = TypeVar("Result")


def answers(
    engines: Engines, requests: Sequence[Request], cache: ResultCache, *, kind: str = "answer"
) -> list[Answer]:
    """Answer requests; what is in the cache, or asked twice, is generated once.

    Args:
        engines: Of the sides that are asked.
        requests: To any of them; their own keys are not used.
        cache: What a server did not answer is not kept: the next try may do better.
        kind: Keeps answers of different engines apart.

    Returns:
        Answers in the order of the requests.
    """
    return through_cache(
        requests,
        [key(one.side, kind, one.messages, asdict(one.sampling)) for one in requests],
        cache,
        title="generate",
        read=read_answer,
        compute=lambda todo: engines.answer([replace(one, key=k) for k, one in todo.items()]),
        is_kept=lambda request, answer: answer.error is None or engines.is_final(request.side),
    )


def likelihoods(
    engines: Engines, turns: Sequence[Turn], cache: ResultCache
) -> list[Likelihood | None]:
    """Return log-likelihood and token count of given answers; ``None`` for one that does not fit."""
    return through_cache(
        turns,
        [key(turn.side, "turn-likelihood", turn.messages, turn.response) for turn in turns],
        cache,
        title="score",
        read=_read_likelihood,
        compute=lambda todo: engines.likelihood([replace(one, key=k) for k, one in todo.items()]),
        is_kept=lambda _, likelihood: likelihood is not None,
    )


def through_cache(
    items: Sequence[Item],
    keys: Sequence[str],
    cache: ResultCache,
    *,
    title: str,
    read: Callable[[Any], Result],
    compute: Callable[[Mapping[Key, Item]], Generator[tuple[Key, Result]]],
    is_kept: Callable[[Item, Result], bool],
) -> list[Result]:
    """Compute what the cache does not hold; each result is stored as it comes.

    Args:
        items: What is asked.
        keys: Of the items in the cache; equal keys are computed once.
        cache: Holds results as JSON values.
        title: Of the progress bar.
        read: Makes a result of a stored value; raises ``TypeError``, ``ValueError`` or
            ``LookupError`` for a value of another shape, which is then computed again.
        compute: Yields the key and the result of each item that is not in the cache.
        is_kept: Whether a result is stored.

    Returns:
        Results in the order of the items.
    """
    known = _stored(keys, cache, read)
    todo: dict[Key, Item] = {}
    for k, item in zip(keys, items, strict=True):
        if k not in known:
            todo.setdefault(k, item)
    if todo:
        with (
            progress(len(keys), title, initial=len(keys) - len(todo)) as shown,
            closing(compute(todo)) as results,
        ):
            for done, result in results:
                known[done] = result
                if is_kept(todo[done], result):
                    cache.put({str(done): _plain(result)})
                shown.advance()
    return [known[k] for k in keys]


def read_answer(value: Any) -> Answer:
    """Return an answer as it was stored.

    Raises:
        TypeError: It is something else.
    """
    answer = Answer(**value)
    if not isinstance(answer.text, str):
        raise TypeError("no text")
    return answer


def _read_likelihood(value: Any) -> Likelihood:
    return float(value[0]), int(value[1])


def _plain(result: object) -> object:
    """Return a result as JSON can hold it."""
    return asdict(result) if isinstance(result, Answer) else result


def _stored(
    keys: Sequence[str], cache: ResultCache, read: Callable[[Any], Result]
) -> dict[Key, Result]:
    """Return the results that are in the cache and are what they should be, by key."""
    results: dict[Key, Result] = {}
    for k in dict.fromkeys(keys):
        value = cache.get(k)
        with suppress(TypeError, ValueError, LookupError):  # of another shape: it is only a cache
            if value is not None:
                results[k] = read(value)
    return results
