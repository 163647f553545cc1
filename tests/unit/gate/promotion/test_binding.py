"""Policy and suite of the last promotion hold for the next one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmops.errors import UsageError
from llmops.gate.promotion.binding import Bound, check_bound, describe_change, in_force
from llmops.records import ModelVersion
from llmops.records.promotion import Entry, Kind

ENTRY = Entry(
    number=1,
    kind=Kind.PROMOTE,
    alias="champion",
    before=None,
    version="1",
    identity="ab" * 32,
    evidence="cd" * 32,
    policy="a" * 64,
    suite="b" * 64,
    policy_changed=False,
    who="ada",
    why="",
    when="2026-11-28T12:00:00.000+00:00",
    commit="",
    nonce="1",
)
ADOPTED = replace(ENTRY, kind=Kind.ADOPTED, policy=None, suite=None)
BOUND = Bound("a" * 64, "b" * 64)
CANDIDATE = ModelVersion("bot", "2", "m-1", None, "ab" * 32, "cd" * 32)


def test_what_bound_last_is_in_force() -> None:
    assert in_force([]) is None
    assert in_force([ADOPTED]) is None
    assert in_force([ENTRY, ADOPTED]) == BOUND
    assert in_force([ENTRY, replace(ENTRY, policy="c" * 64)]) == Bound("c" * 64, "b" * 64)


@pytest.mark.parametrize(
    ("judged", "says"),
    [
        (Bound("c" * 64, "b" * 64), "another policy cccccccccccc instead of aaaaaaaaaaaa, to"),
        (Bound("a" * 64, "d" * 64), "another suite dddddddddddd instead of bbbbbbbbbbbb, to"),
        (Bound("c" * 64, "d" * 64), "policy c+ instead of a+ and another suite d+ instead of b+"),
    ],
)
def test_another_policy_or_suite_is_refused_and_can_be_allowed(judged: Bound, says: str) -> None:
    def changed(entries: list[Entry], *, allowed: bool = False) -> bool:
        return check_bound(CANDIDATE, judged, entries, allowed=allowed, alias="champion")

    with pytest.raises(UsageError, match=says):
        changed([ENTRY])
    assert changed([ENTRY], allowed=True)
    assert not changed([ADOPTED]), "nothing is bound yet"
    assert not check_bound(CANDIDATE, BOUND, [ENTRY], allowed=True, alias="champion")


def test_a_reason_is_text_on_the_page() -> None:
    line = describe_change(replace(ENTRY, why="**bold**\n# heading " + "x" * 400))
    assert "\n" not in line
    assert r"\*\*bold\*\*" in line
    assert len(line) < 450
