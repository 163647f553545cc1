"""Load on a server of the OpenAI chat protocol: at a fixed rate, or with a fixed number of callers.

At a fixed rate a request is due at a time that does not depend on how fast the server answers, and
its latency counts from then: a server that stalls cannot hide the requests that wait meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
import uvloop

VERSION = "x-llmops-model-version"
MARKER = re.compile(r"marker=(\w+)")
NAMED = re.compile(r"\w+@v\d+")
SECONDS = 60.0
"""Seconds after which a request counts as hanging."""

Prompt = Callable[[int], str]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Target:
    """A server under load.

    Attributes:
        url: Of chat completions.
        body: Of every request, without messages.
        headers: Of every request.
        named: Whether every answer must name its version in header and body.
    """

    url: str
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    named: bool = False


@dataclass
class Outcome:
    """What became of one request.

    Attributes:
        due: When it was due, seconds since the load began.
        sent: When it was sent.
        end: When its answer was complete.
        first: When its first event came, which engines send with the first token, although its text
            may be withheld: half a character, say. ``None`` if it was not streamed.
        last: When its last text came.
        tokens: Tokens of the answer, as its usage says.
        error: Kind of what went wrong; ``None`` for a whole answer.
        version: The version that the answer names.
        text: The answer.
    """

    due: float
    sent: float
    end: float = math.nan
    first: float | None = None
    last: float = math.nan
    tokens: int = 0
    error: str | None = None
    version: str | None = None
    text: str = ""

    @property
    def latency(self) -> float:
        """Seconds from when it was due."""
        return self.end - self.due


class Wrong(Exception):
    """An answer that is not as it must be; the text is the kind of error."""


@dataclass(frozen=True)
class Load:
    """Outcomes of a load, in the order in which the requests were due.

    Attributes:
        outcomes: One for each request.
        seconds: From the first request to the last answer.
        began: When the load began, on the clock of ``time.perf_counter``.
    """

    outcomes: Sequence[Outcome]
    seconds: float
    began: float

    @property
    def good(self) -> list[Outcome]:
        """Requests that were answered."""
        return [one for one in self.outcomes if one.error is None]

    @property
    def errors(self) -> Counter[str]:
        """Number of failed requests by kind."""
        return Counter(one.error for one in self.outcomes if one.error is not None)

    @property
    def versions(self) -> Counter[str | None]:
        """Number of answers by version."""
        return Counter(one.version for one in self.good)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.good) / self.seconds

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second of all answers together."""
        return sum(one.tokens for one in self.good) / self.seconds

    def latency(self, percent: float) -> float:
        """Return a percentile of the latencies of good answers, in seconds."""
        return percentile([one.latency for one in self.good], percent)

    def first(self, percent: float) -> float:
        """Return a percentile of the times to the first event, in seconds."""
        return percentile([o.first - o.due for o in self.good if o.first is not None], percent)

    def gap(self, percent: float) -> float:
        """Return a percentile of the mean times between two tokens of an answer, in seconds."""
        found = [(o.last - o.first) / (o.tokens - 1) for o in self.good if o.first and o.tokens > 1]
        return percentile(found, percent)

    def __str__(self) -> str:
        shown = " ".join(f"p{p} {1000 * self.latency(p):.1f}" for p in (50, 95, 99))
        text = f"{len(self.good)}/{len(self.outcomes)} answered, {self.rate:.0f}/s, ms: {shown}"
        if any(one.first for one in self.good):
            text += f", first token p50 {1000 * self.first(50):.1f} p99 {1000 * self.first(99):.1f}"
            text += (
                f", between p50 {1000 * self.gap(50):.2f}, {self.tokens_per_second:.0f} tokens/s"
            )
        return text + (f", errors: {dict(self.errors)}" if self.errors else "")


def together(loads: Sequence[Load]) -> Load:
    """Return loads that ran one after the other as one."""
    outcomes = [one for load in loads for one in load.outcomes]
    return Load(outcomes, sum(load.seconds for load in loads), loads[0].began)


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of the values do not exceed."""
    found = sorted(values)
    return found[max(0, math.ceil(len(found) * percent / 100) - 1)] if found else math.nan


def open_loop(
    target: Target, rate: float, seconds: float, prompt: Prompt = str, *, stream: bool = False
) -> Load:
    """Send requests at a fixed rate, whatever becomes of the earlier ones."""

    async def run(session: aiohttp.ClientSession, began: float) -> list[Outcome]:
        tasks = []
        for i in range(round(rate * seconds)):
            due = i / rate
            await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
            tasks.append(asyncio.create_task(_ask(session, target, prompt(i), due, began, stream)))
        return list(await asyncio.gather(*tasks))

    return _run(run)


def closed_loop(
    target: Target,
    callers: int,
    *,
    requests: int | None = None,
    seconds: float | None = None,
    prompt: Prompt = str,
    stream: bool = False,
    until: Callable[[], bool] = lambda: False,
    pause: Callable[[Outcome], float] = lambda _: 0.0,
    spread: float = 0.0,
) -> Load:
    """Let callers ask one request after the other, each as soon as the last one is answered.

    Args:
        target: The server.
        callers: Number of callers.
        requests: Total number of requests; ``None`` for no limit.
        seconds: After which no caller asks again; ``None`` for no limit.
        prompt: Prompt of the i-th request.
        stream: Whether the answers are streamed.
        until: No caller asks again once this returns true.
        pause: Seconds that a caller waits after an outcome.
        spread: Seconds over which the callers begin, as those do who know nothing of each other.
    """
    numbers = itertools.count() if requests is None else iter(range(requests))

    async def run(session: aiohttp.ClientSession, began: float) -> list[Outcome]:
        found: list[Outcome] = []

        async def caller(number: int) -> None:
            await asyncio.sleep(spread * number / callers)
            for i in numbers:
                now = time.perf_counter() - began
                if (seconds is not None and now > seconds) or until():
                    return
                outcome = await _ask(session, target, prompt(i), now, began, stream)
                found.append(outcome)
                if wait := pause(outcome):
                    await asyncio.sleep(wait)

        await asyncio.gather(*map(caller, range(callers)))
        return sorted(found, key=lambda outcome: outcome.due)

    return _run(run)


def _run(work: Callable[[aiohttp.ClientSession, float], Awaitable[list[Outcome]]]) -> Load:
    async def run() -> Load:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            began = time.perf_counter()
            outcomes = await work(session, began)
        ends = [one.end for one in outcomes if not math.isnan(one.end)]
        return Load(outcomes, max(ends, default=math.nan), began)

    return in_loop(run())


def in_loop(work: Coroutine[Any, Any, Found]) -> Found:
    """Run a coroutine on a loop as fast as the servers'."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _ask(
    session: aiohttp.ClientSession,
    target: Target,
    prompt: str,
    due: float,
    began: float,
    stream: bool,
) -> Outcome:
    outcome = Outcome(due, time.perf_counter() - began)
    body: dict[str, Any] = {**target.body, "messages": [{"role": "user", "content": prompt}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    try:
        async with session.post(target.url, json=body, headers=target.headers) as response:
            if response.status != 200:
                raise Wrong(str(response.status))
            outcome.version = response.headers.get(VERSION)
            read = _read_stream if stream else _read_whole
            models = await read(response, outcome, began)
        if target.named:
            _check_names(outcome, models)
        _check_markers(prompt, outcome.text)
    except Wrong as error:
        outcome.error = str(error)
    except TimeoutError:
        outcome.error = "hangs"
    except aiohttp.ClientError as error:
        outcome.error = type(error).__name__
    except ValueError:
        outcome.error = "not JSON"
    outcome.end = time.perf_counter() - began
    return outcome


async def _read_whole(
    response: aiohttp.ClientResponse, outcome: Outcome, began: float
) -> set[object]:
    answer = json.loads(await response.read())
    outcome.text = answer["choices"][0]["message"]["content"]
    outcome.tokens = (answer.get("usage") or {}).get("completion_tokens", 0)
    return {answer["model"]}


async def _read_stream(
    response: aiohttp.ClientResponse, outcome: Outcome, began: float
) -> set[object]:
    """Read events until ``[DONE]``; return the models that they name."""
    rest, models, pieces = b"", set[object](), list[str]()
    async for block in response.content.iter_any():
        now = time.perf_counter() - began
        *events, rest = (rest + block).split(b"\n\n")
        for event in events:
            if not event.startswith(b"data: "):
                continue  # a comment that keeps the connection open, or an error event's name
            if event == b"data: [DONE]":
                outcome.text = "".join(pieces)
                return models
            chunk = json.loads(event[6:])
            if "error" in chunk:
                raise Wrong("error event")
            models.add(chunk["model"])
            outcome.first = outcome.first or now
            if chunk.get("usage"):
                outcome.tokens = chunk["usage"]["completion_tokens"]
            piece = chunk["choices"][0]["delta"].get("content") if chunk["choices"] else None
            if piece:
                outcome.last = now
                pieces.append(piece)
    raise Wrong("cut")


def _check_names(outcome: Outcome, models: set[object]) -> None:
    """Check that header, every chunk and every token name one version."""
    named = {*models, *NAMED.findall(outcome.text), outcome.version}
    if outcome.version is None:
        raise Wrong("no version")
    if len(named) != 1:
        raise Wrong("mixed versions")


def _check_markers(prompt: str, text: str) -> None:
    """Check that an answer has no marker of another request's prompt."""
    if not set(MARKER.findall(text)) <= set(MARKER.findall(prompt)):
        raise Wrong("another request's text")
