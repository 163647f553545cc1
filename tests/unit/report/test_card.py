"""The evidence card and the tags, within what MLflow's pages show."""

from __future__ import annotations

import re

import pytest
from report_records import EVIDENCE, LINKS, METRICS, RUN, comparison, decision, metric, side

from llmops.report import evidence_card, version_tags
from llmops.report.markdown import LIMIT


def test_it_begins_with_the_plain_sentence_as_a_heading():
    first, rule, second, *_ = evidence_card(comparison(), decision(), LINKS).splitlines()
    assert first == "IMPROVED: v3 beats v2 on token F1 by +20.8 points"
    assert rule == "---"
    assert second == (
        "95% CI +6.2 to +35.4 points · p = 0.011"
        " · 120 paired prompts in 34 clusters · dataset `stdlib-docs-test`"
    )


def test_the_table_is_padded_and_followed_by_a_break():
    card = evidence_card(comparison(), decision(), LINKS)
    table = [line for line in card.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(METRICS)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {7}
    assert all(line.count("&emsp;") == 5 for line in table if "---" not in line)
    assert "\n\n<br>\n\n" in card


def test_the_table_stays_narrower_than_the_description():
    # 804 px at about 7.5 px a character, padding included.
    card = evidence_card(comparison(), decision(), LINKS).replace("&emsp;", "  ").replace("*", "")
    rows = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| ")]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    assert sum(widths) <= 100


def test_figure_links_and_digest_are_there():
    card = evidence_card(comparison(), decision(), LINKS)
    assert f"![](get-artifact?path=report/forest.svg&run_uuid={RUN})" in card
    for text, url in LINKS.items():
        assert f"[{text}]({url})" in card
    assert f"SHA-256 `{EVIDENCE}`" in card


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil", "/models"])
def test_links_that_cannot_work_are_left_out(url):
    card = evidence_card(comparison(), decision(), {"Bad": url, "Report": "#/experiments/1"})
    assert "Bad" not in card
    assert "[Report](#/experiments/1)" in card


def test_an_encoded_filter_is_not_encoded_again():
    url = "#/experiments/1/runs?searchFilter=tags.%60mlflow.parentRunId%60%20%3D%20%27a%27"
    assert f"({url})" in evidence_card(comparison(), decision(), {"Rows": url})


def test_many_metrics_are_cut_and_counted():
    many = [metric(f"metric_{i}", -0.1, 0.0, 0.1) for i in range(100)]
    card = evidence_card(comparison([*METRICS, *many]), decision(), LINKS)
    assert "96 more in the report" in card
    assert len(card) < LIMIT


def test_tags_come_in_order_and_fit_the_version_table():
    tags = version_tags(comparison(), decision())
    assert list(tags.items()) == [
        ("verdict", "IMPROVED"),
        ("delta", "+0.21 [0.06, 0.35]"),
        ("versus", "v2"),
        ("llmops.evidence", EVIDENCE[:12]),
    ]


def test_the_interval_has_leading_zeros_whatever_its_ends():
    made = comparison([metric("token_f1", -0.21, 0.0, 0.25)])
    assert version_tags(made, decision())["delta"] == "+0.00 [-0.21, 0.25]"


@pytest.mark.parametrize(
    ("old", "versus"),
    [
        (side("v2"), "v2"),
        (side("base", "models:/smollm2-135m/1"), "smollm2-135m"),
        (side("other/7", "models:/other/7"), "other/7"),
        (side("m-1", "models:/m-1"), "m-1"),
    ],
)
def test_the_baseline_is_named_as_far_as_the_page_does_not(old, versus):
    assert version_tags(comparison(baseline=old), decision())["versus"] == versus


@pytest.mark.parametrize("low", [-0.99, -0.5, 0.0, 0.5])
@pytest.mark.parametrize("high", [-0.01, 0.0, 0.25, 1.0])
def test_no_tag_is_long_enough_to_be_shortened(low, high):
    made = comparison([metric("token_f1", low, -0.1, high)])
    for key, value in version_tags(made, decision()).items():
        assert len(value) <= 26
        assert len(key) + len(value) <= 30
