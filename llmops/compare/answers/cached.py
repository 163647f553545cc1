"""Answers and likelihoods of all sides, read from the cache or computed.

A result has the same key in the cache as in its request, so results need no bookkeeping.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from typing import Any, TypeVar

from llmops.compare.answers.dated import dated_prompt
from llmops.compare.answers.engines import Engines
from llmops.compare.cache import ResultCache, key
from llmops.engine import Key, Request, Turn
from llmops.progress import progress
from llmops.records import Answer, Likelihood

Item = TypeVar("Item")
Keyed = TypeVar("Keyed", Request, Turn)
Result = TypeVar("Result")


def answers(
    engines: Engines, requests: Sequence[Request], cache: ResultCache, *, kind: str = "answer"
) -> list[Answer]:
    """Answer requests; an answer is generated only if it is not in the cache, and only once.

    Args:
        engines: Engines of the sides that are asked.
        requests: Requests to any of the sides; their keys are ignored.
        cache: Cache of the answers. A failed answer of a server is not cached: a rerun may succeed.
        kind: Kind of result, which keeps answers of different engines apart in the cache.

    Returns:
        Answers in the order of the requests.
    """
    made: dict[Key, Answer] = {}

    def compute(todo: Mapping[Key, Request]) -> Generator[tuple[Key, Answer]]:
        for done, answer in engines.answer(_keyed(todo)):
            made[done] = answer
            yield done, answer

    keys, begun = [_key(r, kind, asdict(r.sampling)) for r in requests], engines.seconds
    found = through_cache(
        requests,
        keys,
        cache,
        title="generate",
        read=read_answer,
        compute=compute,
        is_kept=lambda request, answer: answer.error is None or engines.is_final(request.side),
    )
    timed = with_seconds(made, engines.seconds - begun)
    cache.put({str(k): _plain(answer) for k, answer in timed.items()})
    return [timed.get(k, answer) for k, answer in zip(keys, found, strict=True)]


def with_seconds(made: Mapping[Key, Answer], seconds: float) -> dict[Key, Answer]:
    """Return the answers that were generated together, each with its share of the time.

    Args:
        made: Answers as their engine returned them; those that it timed, and those that failed, are
            left out.
        seconds: Wall time of all of them, which is shared out by tokens.
    """
    together = {k: a for k, a in made.items() if a.seconds is None and a.error is None}
    tokens = sum(answer.tokens for answer in together.values())
    return {
        k: replace(answer, seconds=round(seconds * answer.tokens / tokens, 4))
        for k, answer in together.items()
        if tokens
    }


def likelihoods(
    engines: Engines, turns: Sequence[Turn], cache: ResultCache
) -> list[Likelihood | None]:
    """Compute log-likelihoods of given answers, as ``Engine.likelihood`` does, through the cache.

    Returns:
        Log-likelihood in nats and number of tokens, in the order of the turns; ``None`` for a turn
        that does not fit the context.
    """
    return through_cache(
        turns,
        [_key(turn, "turn-likelihood", turn.response) for turn in turns],
        cache,
        title="score",
        read=_read_likelihood,
        compute=lambda todo: engines.likelihood(_keyed(todo)),
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
    """Compute the results that the cache does not hold; each is stored as it arrives.

    Args:
        items: Items whose results are wanted.
        keys: Keys of the items in the cache; the result of equal keys is computed once.
        cache: Cache that holds results as JSON values.
        title: Title of the progress bar.
        read: Function from a stored value to a result; raises ``TypeError``, ``ValueError`` or
            ``LookupError`` for a value of another shape, whose result is then computed again.
        compute: Function that yields key and result of each item that is not in the cache.
        is_kept: Function that decides whether a result is stored.

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
    """Return the answer that a stored value holds.

    Raises:
        TypeError: The value has another shape.
    """
    answer = Answer(**value)
    if not isinstance(answer.text, str):
        raise TypeError("no text")
    return answer


def _key(item: Request | Turn, kind: str, detail: object) -> str:
    """Return the key of a result, with the rendered prompt if that depends on the date."""
    dated = dated_prompt(item.side, item.messages)
    return key(item.side, kind, item.messages, detail if dated is None else [detail, dated])


def _keyed(items: Mapping[Key, Keyed]) -> list[Keyed]:
    """Return requests or turns, each with its key in the cache as its own key."""
    return [replace(item, key=key) for key, item in items.items()]


def _read_likelihood(value: Any) -> Likelihood:
    return float(value[0]), int(value[1])


def _plain(result: object) -> object:
    """Return a result as a JSON value."""
    return asdict(result) if isinstance(result, Answer) else result


def _stored(
    keys: Sequence[str], cache: ResultCache, read: Callable[[Any], Result]
) -> dict[Key, Result]:
    """Return the results that the cache holds in a readable shape, by key."""
    results: dict[Key, Result] = {}
    for k in dict.fromkeys(keys):
        value = cache.get(k)
        with suppress(TypeError, ValueError, LookupError):  # of another shape: computed again
            if value is not None:
                results[k] = read(value)
    return results
