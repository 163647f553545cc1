"""The estimate from human labels, as text, JSON and HTML."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from report_pages import headings, parse, section, text_of
from report_records import comparison

from llmops.records import HumanLabels
from llmops.report import html_report, labels_text, to_json
from llmops.report.labels import labels_section
from llmops.report.wording import MINUS

FOUND = HumanLabels(
    metric="token_f1",
    difference=0.1234,
    low=-0.0301,
    high=0.21,
    alone=0.1,
    alone_low=-0.05,
    alone_high=0.25,
    labels=100,
    prompts=1_000,
    effective=146.2,
    correlation=0.617,
    confidence=0.95,
    wins=40,
    ties=30,
    losses=30,
)
LABELLED = comparison(human_labels=FOUND)


def test_both_intervals_are_shown_with_what_the_scorer_adds() -> None:
    assert labels_text(LABELLED).splitlines() == [
        "Human labels of 100 of 1,000 prompts: v3 preferred 40 times, v2 30 times, 30 ties:",
        "  labels and token F1 (PPI++)  +0.123  [-0.030, +0.210]",
        "  labels alone                 +0.100  [-0.050, +0.250]",
        "  Share preferred minus share rejected, 95% CI; as precise as 146 labels alone;"
        " correlation of labels and token F1 0.62",
    ]


def test_a_correlation_that_does_not_exist_is_no_number() -> None:
    made = comparison(human_labels=replace(FOUND, correlation=math.nan))
    assert "token F1 undefined" in labels_text(made)
    assert json.loads(json.dumps(to_json(made)))["human_labels"]["correlation"] is None


def test_without_labels_nothing_is_shown() -> None:
    assert labels_text(comparison()) == ""
    assert labels_section(comparison()) is None
    assert to_json(comparison())["human_labels"] is None
    assert "Human labels" not in headings(parse(html_report(comparison())))


def test_the_report_has_a_section() -> None:
    page = parse(html_report(LABELLED))
    shown = text_of(section(page, "Human labels"))
    for part in ("+0.123", f"{MINUS}0.030, +0.210", "labels alone", "drawn at random", "95% CI"):
        assert part in shown
    record = to_json(LABELLED)["human_labels"]
    assert isinstance(record, dict)
    assert (record["difference"], record["effective"], record["wins"]) == (0.1234, 146.2, 40)
