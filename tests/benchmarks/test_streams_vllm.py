"""Streams through the gateway beside those of the same vLLM on a CPU, asked directly (12 minutes).

The model is SmolLM2-135M: with a tiny one vLLM's own processes wait for each other, not for tokens,
and its first token comes after 10 ms or after 500.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from load import Load, Target, closed_loop
from serving_loads import check_streams
from serving_stack import VLLM, Stack, deployed, registry

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]
LEAST = 6
"""Streams of a turn at least; each takes 12 seconds."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("vllm-bench")
    with (
        registry(folder, 1, base="smollm2-135m-instruct"),
        deployed(folder, VLLM, max_tokens=128) as stack,
    ):
        yield stack


@pytest.mark.parametrize("callers", [1, 8, 32])
def test_streams_of_vllm(stack: Stack, callers: int) -> None:
    def ask(target: Target) -> Load:
        requests = max(LEAST, callers)
        return closed_loop(target, callers, requests=requests, stream=True, spread=1.0)

    check_streams(stack, callers, ask)
