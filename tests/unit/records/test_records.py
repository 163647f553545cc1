from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from llmops import records
from llmops.records import Check, Decision, ModelVersion, Verdict


def decision(*passed: bool | None) -> Decision:
    checks = tuple(
        Check("token_f1", "not_regress", 0.05, Verdict.NOT_WORSE, outcome) for outcome in passed
    )
    return Decision(
        verdict=Verdict.INCONCLUSIVE,
        passed=bool(passed) and all(passed),
        checks=checks,
        sentence="",
        evidence={},
    )


@pytest.mark.parametrize(
    ("passed", "code"),
    [
        ((True, True), 0),
        ((True, False), 3),
        ((True, None), 4),
        ((None, None), 4),
        ((None, False), 3),  # one broken demand rejects, whatever else is undecided
        ((), 4),  # nothing was checked: that is no verdict at all
    ],
)
def test_exit_code(passed: tuple[bool | None, ...], code: int) -> None:
    assert decision(*passed).exit_code == code


def test_records_cannot_be_changed_on_their_way() -> None:
    version = ModelVersion("bot", "3", "m-1", None, "a", "b")
    assert version.uri == "models:/bot/3"
    with pytest.raises(FrozenInstanceError):
        version.version = "4"  # type: ignore[misc]


def test_the_adapter_tells_two_sides_of_one_base_apart() -> None:
    from pathlib import Path

    base = records.BaseModel("tiny", "models:/tiny/1", "ba5e", Path())
    bare = records.ModelFiles("base", base.uri, base, None, None, None)
    tuned = records.ModelFiles("v1", "models:/bot/1", base, Path(), "ada9", None)
    assert (bare.digest, tuned.digest) == ("ba5e", "ada9")
