"""An engine that breaks its answers: the client of a deployment always learns of it."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator

import pytest
from load import Load, closed_loop
from serving_stack import FAKE, Stack, deployed, registry

STALL_SECONDS = 2.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("faults")
    with (
        registry(folder, 1),
        deployed(folder, FAKE, "--delay", "0", max_tokens=64, stall=STALL_SECONDS) as stack,
    ):
        yield stack


def asked(stack: Stack, fault: str, *, stream: bool = True) -> Load:
    return closed_loop(
        stack.target(), 1, requests=3, prompt=lambda _: f"fault={fault}", stream=stream
    )


def counted(stack: Stack) -> dict[str, float]:
    """Requests of the version by outcome, from /metrics."""
    with urllib.request.urlopen(f"{stack.deployment.endpoint}/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r"^llmops_requests_total\{(.*)\} (\S+)$", text, re.MULTILINE)
    counts: dict[str, float] = {}
    for labels, value in found:
        if 'version="bot@v1"' in labels:
            (outcome,) = re.findall(r'outcome="(\w+)"', labels)
            counts[outcome] = counts.get(outcome, 0) + float(value)
    return counts


@pytest.mark.parametrize("fault", ["cut", "ended", "stall", "malformed", "event"])
def test_a_broken_stream_never_looks_finished(stack: Stack, fault: str) -> None:
    before = counted(stack)
    began = time.monotonic()
    load = asked(stack, fault)
    assert load.errors == {"error event": 3}, "an error, and no [DONE]"
    assert time.monotonic() - began < 3 * (STALL_SECONDS + 3)
    after = counted(stack)
    grown = {kind: n - before.get(kind, 0) for kind, n in after.items() if n != before.get(kind, 0)}
    assert sum(grown.values()) == 3
    assert all(kind.startswith("stream_") for kind in grown), grown


@pytest.mark.parametrize(("fault", "status"), [("500", "502"), ("reset", "503")])
def test_before_the_first_byte_there_is_a_status(stack: Stack, fault: str, status: str) -> None:
    for stream in (False, True):
        assert asked(stack, fault, stream=stream).errors == {status: 3}


@pytest.mark.parametrize("fault", ["cut", "malformed"])
def test_a_broken_whole_answer_has_a_status(stack: Stack, fault: str) -> None:
    load = asked(stack, fault, stream=False)
    assert sum(load.errors.values()) == 3
    assert set(load.errors) <= {"502", "503"}


def test_events_that_arrive_in_pieces_are_put_together(stack: Stack) -> None:
    load = asked(stack, "split")
    assert not load.errors
    assert {one.tokens for one in load.good} == {64}
