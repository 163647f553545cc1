"""Probe a version after it was loaded: it answers, and an adapter answers differently from its base.

An engine may accept an adapter that matches no module of the base: then the base answers under the
adapter's name, with HTTP status 200.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from llmops.errors import ServeError
from llmops.records.serving import Served
from llmops.serve.gateway.proxy.events import Malformed
from llmops.serve.gateway.proxy.upstream import EngineLost, Upstream
from llmops.serve.gateway.versions.engine import Engine

PROMPTS = (
    "The answer is",
    "Question: What is the capital of France?\nAnswer:",
    "def add(a, b):\n    return",
    '{"name": "',
)
ROUNDS = 2
"""Times that each prompt is asked of base and adapter: the base's own difference is the noise."""
TOP = 5
"""Most likely tokens whose log-probabilities are compared."""
FLOOR = 1e-5
"""Difference of log-probabilities, in nats, that the order of additions alone can cause."""
SECONDS = 120.0
"""Seconds until an answer of one token."""
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"

Likely = Mapping[str, float]
"""Log-probabilities of the most likely next tokens, in nats."""


async def probe(upstream: Upstream, engine: Engine, served: Served) -> None:
    """Check that a loaded version answers, and that its adapter has an effect.

    Raises:
        ServeError: It does not answer, or answers as its base does.
    """
    try:
        beside_base = engine.process.base_digest == served.files.base.digest
        if served.files.adapter_digest is not None and beside_base:
            await _check_effect(upstream, engine, served)
        else:  # a full model, or one that is merged into its base
            await _likely(upstream, engine, served.name, PROMPTS[0])
        await _warm_up(upstream, engine, served)
    except EngineLost as error:
        raise ServeError(f"{served.name}: the engine does not answer ({error})") from error
    except Malformed as error:
        raise ServeError(f"{served.name}: the engine's answer to the probe: {error}") from error


async def _check_effect(upstream: Upstream, engine: Engine, served: Served) -> None:
    base, tuned = [], []
    for _ in range(ROUNDS):
        answers = await asyncio.gather(
            *(
                _likely(upstream, engine, name, prompt)
                for name in (served.files.base.digest, served.name)
                for prompt in PROMPTS
            )
        )
        base.append(answers[: len(PROMPTS)])
        tuned.append(answers[len(PROMPTS) :])
    noise = max(difference(one, other) for one, other in zip(*base, strict=True))
    effect = max(
        difference(one, other) for one, other in zip(_mean(base), _mean(tuned), strict=True)
    )
    if effect <= 2 * noise + FLOOR:
        raise ServeError(
            f"{served.name}: the adapter changes nothing: log-probabilities differ from the base's by"
            f" {effect:.2g}, and the base's from its own by {noise:.2g}",
            next_command=f"check that the adapter of {served.files.uri} was trained on this base, and"
            " that its target modules are those of the base",
        )


def difference(one: Likely, other: Likely) -> float:
    """Return the largest difference over the tokens that both have; infinite without any."""
    common = one.keys() & other.keys()
    return max((abs(one[token] - other[token]) for token in common), default=float("inf"))


def _mean(rounds: Sequence[Sequence[Likely]]) -> list[Likely]:
    """Return for each prompt the mean over the rounds, of the tokens that every round has."""
    means: list[Likely] = []
    for answers in zip(*rounds, strict=True):
        common = set.intersection(*(set(answer) for answer in answers))
        means.append({t: sum(answer[t] for answer in answers) / len(answers) for t in common})
    return means


async def _likely(upstream: Upstream, engine: Engine, model: str, prompt: str) -> Likely:
    """Return the log-probabilities of the next token.

    Raises:
        EngineLost: The engine does not answer.
        Malformed: It refuses, or answers without log-probabilities.
    """
    wanted = {"prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": TOP}
    fields = await _ask(upstream, engine, COMPLETIONS, model, wanted)
    try:
        found: Any = fields["choices"][0]["logprobs"]
        top = (found.get("top_logprobs") or [None])[0]
        given = top or dict(zip(found["tokens"], found["token_logprobs"], strict=True))
        return {str(token): float(value) for token, value in given.items()}
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise Malformed(f"no log-probabilities ({type(error).__name__})") from None


async def _warm_up(upstream: Upstream, engine: Engine, served: Served) -> None:
    """Have a chat answered, so that the first client does not wait for what is made ready then."""
    wanted = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    try:
        await _ask(upstream, engine, CHAT, served.name, wanted)
    except Malformed:
        return  # such as a base without a chat template, which completes text all the same


async def _ask(
    upstream: Upstream, engine: Engine, path: str, model: str, wanted: Mapping[str, object]
) -> dict[str, Any]:
    body = json.dumps({"model": model, **wanted}).encode()
    return await upstream.ask(engine, path, body, model, SECONDS)
