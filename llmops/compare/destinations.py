"""Say where prompts go before they leave this machine's own processes."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.compare.scorers.scorer import Scorer
from llmops.engine.openai.endpoint import parse_endpoint
from llmops.progress import say
from llmops.records import RemoteModel, Side


def announce(sides: Sequence[Side], scorers: Sequence[Scorer], prompts: int) -> None:
    """Print one line for each server that a comparison asks, before it is asked.

    Args:
        sides: All sides.
        scorers: All scorers; a judge gets the prompts with the answers of both sides.
        prompts: Number of prompts in the suite, repeats included. Early stopping and the cache may
            send fewer.
    """
    for side in sides:
        _say(side, f"up to {prompts:,} prompts")
    for scorer in scorers:
        if scorer.asker is not None:
            _say(scorer.asker.side, f"up to {prompts:,} prompts with the answers to judge")


def _say(side: Side, what: str) -> None:
    if isinstance(side, RemoteModel):
        endpoint = parse_endpoint(side.uri)
        say(f"compare: {what} go to {endpoint.url} (model {endpoint.model})")
