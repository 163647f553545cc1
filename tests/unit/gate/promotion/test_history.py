"""History: every champion with its time, without gaps."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from judged import PASSED, judged

from llmops.errors import NotFoundError
from llmops.gate import history, promote, rollback
from llmops.records import ModelVersion


def test_each_champion_has_its_time(version: ModelVersion, challenger: ModelVersion) -> None:
    assert history("bot") == ()
    _, decision = judged(challenger.uri, version.uri)
    promote(challenger.uri, why="more polite")
    rollback("bot", why="too polite")
    first, second, third = history("bot")
    assert [r.entry.version for r in (first, second, third)] == ["1", "2", "1"]
    assert (first.until, second.until, third.until) == (second.entry.when, third.entry.when, None)
    assert (second.entry.evidence, second.entry.why) == (decision.evidence_digest, "more polite")
    times = [datetime.fromisoformat(r.entry.when) for r in (first, second, third)]
    assert times == sorted(times)
    assert {time.utcoffset() for time in times} == {timedelta(0)}


def test_aliases_have_histories_of_their_own(
    version: ModelVersion, challenger: ModelVersion
) -> None:
    judged(challenger.uri, "tiny", PASSED.model_copy(update={"on_pass": "production"}))
    promote(challenger.uri, alias="production")
    judged(challenger.uri, version.uri)
    promote(challenger.uri)
    assert [r.entry.alias for r in history("bot")] == ["production", "champion", "champion"]
    (only,) = history("bot", alias="production")
    assert only.until is None
    with pytest.raises(NotFoundError, match="nobody"):
        history("nobody")
