"""What a gate will spend, before it generates anything: prompts, tokens, minutes, dollars."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llmops.recipe import scorer_names
from llmops.recipe.schema import Policy
from llmops.records import Suite

SIDES = 2
CHARACTERS = 4
"""Characters of a token, for an estimate without a tokenizer."""
PER_PAIR = 2
"""Requests to a judge for each prompt: both orders."""


@dataclass(frozen=True)
class Forecast:
    """The most that a gate will spend; early stopping and cached answers save some of it.

    Attributes:
        prompts: Prompts for each side, repeats included.
        answers: Answers of both sides.
        prompt_tokens: Estimated tokens of the prompts of both sides.
        answer_tokens: Most tokens of the answers of both sides.
        judge_requests: Requests to judges.
        minutes: Estimated time; ``None`` if no earlier comparison tells the speed.
        usd: Estimated price in US dollars; ``None`` if time or price of an hour is unknown.
    """

    prompts: int
    answers: int
    prompt_tokens: int
    answer_tokens: int
    judge_requests: int
    minutes: float | None
    usd: float | None

    @property
    def text(self) -> str:
        """The forecast as lines."""
        minutes = "unknown: no earlier comparison in this experiment"
        usd = "unknown: needs the minutes and gate.budgets.usd_per_hour"
        if self.minutes is not None:
            minutes = f"about {self.minutes:.1f}, as fast as the slowest of the last comparisons"
        if self.usd is not None:
            usd = f"about ${self.usd:.2f}"
        lines = [
            ("Prompts", f"up to {self.prompts:,} for each side, {self.answers:,} answers"),
            (
                "Tokens",
                f"about {self.prompt_tokens:,} of prompts, at most {self.answer_tokens:,} of answers",
            ),
            *([("Judge", f"{self.judge_requests:,} requests")] if self.judge_requests else []),
            ("Minutes", minutes),
            ("Dollars", usd),
        ]
        return "\n".join(f"{name:<8} {value}" for name, value in lines)


def forecast(
    policy: Policy,
    suite: Suite,
    *,
    seconds_per_prompt: float | None = None,
    usd_per_hour: float | None = None,
) -> Forecast:
    """Return the most that judging by a policy on a suite will spend.

    Args:
        policy: The policy.
        suite: Held-out prompts.
        seconds_per_prompt: Measured time for a prompt and both sides; ``None`` if unknown.
        usd_per_hour: Price of the machine in US dollars per hour; ``None`` if unknown.
    """
    repeats = policy.compare.repeats
    characters = sum(
        len(str(turn.get("content", ""))) for each in suite.examples for turn in each.messages
    )
    prompts = len(suite.examples) * repeats
    judges = [
        name
        for name in scorer_names.parse_all(policy.compare.scorers)
        if name.kind == scorer_names.JUDGE
    ]
    minutes = None if seconds_per_prompt is None else prompts * seconds_per_prompt / 60
    return Forecast(
        prompts=prompts,
        answers=SIDES * prompts,
        prompt_tokens=math.ceil(SIDES * repeats * characters / CHARACTERS),
        answer_tokens=SIDES * prompts * policy.compare.max_tokens,
        judge_requests=PER_PAIR * prompts * len(judges),
        minutes=minutes,
        usd=None if minutes is None or usd_per_hour is None else minutes / 60 * usd_per_hour,
    )
