"""`llmops history` as a user meets it."""

from __future__ import annotations

import json
import re

from command_line import Command
from judged import PASSED, judged

from llmops.gate import promote, rollback
from llmops.records import ModelVersion


def test_every_champion_is_a_line(
    llmops: Command, version: ModelVersion, another: ModelVersion
) -> None:
    assert llmops("history", "bot").stdout == "bot: no promotion is on record\n"
    _, decision = judged(another.uri, version.uri)
    promote(another.uri)
    rollback("bot", why="too\nlong")
    judged(another.uri, version.uri, PASSED.model_copy(update={"min_prompts": 20}))
    promote(another.uri, policy_changed=True, why="fewer rows")
    done = llmops("history", "bot")
    assert done.returncode == 0
    head, first, second, third, fourth = done.stdout.splitlines()
    assert head.split() == ["VERSION", "ALIAS", "FROM", "UNTIL", "HOW", "BY", "EVIDENCE", "WHY"]
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert re.fullmatch(rf"1 +@champion +{moment} +{moment} +had it already +\S+ +none", first)
    assert re.match(
        rf"2 +@champion +{moment} +{moment} +promoted +\S+ +{decision.evidence_digest[:12]}", second
    )
    assert re.search(r"rolled back .* too long$", third)
    assert re.search(r" now +promoted .* policy or suite changed: fewer rows$", fourth)


def test_the_record_has_everything(
    llmops: Command, version: ModelVersion, another: ModelVersion
) -> None:
    _, decision = judged(another.uri, version.uri)
    promote(another.uri)
    record = json.loads(llmops("history", "bot", "--output", "json").stdout)
    adopted, promoted = record["history"]
    assert record["model"] == "bot"
    assert promoted["evidence"] == decision.evidence_digest
    assert (promoted["before"], promoted["version"], promoted["until"]) == ("1", "2", None)
    assert adopted["until"] == promoted["since"]
    assert "nonce" not in promoted
    assert llmops("history", "nobody").returncode == 2
