"""The Markdown summary: its first lines suffice, it is short, and foreign text only shows."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_records import CHECKS, LINKS, comparison, decision, metric, row, side

from llmops.records import Check, Outlook, SliceResult, Verdict
from llmops.report.ci import no_verdict_page, no_verdict_summary, summary

LOST = Check("token_f1", "not_regress", 0.05, Verdict.REGRESSED, passed=False)
OPEN = Check("likelihood", "not_regress", 0.03, Verdict.INCONCLUSIVE, passed=None, reason="few")
BILLING = SliceResult("topic", "billing", 40, -0.2, -0.3, -0.1, 0.01, 0.02, 1, 2, 37)
PAGES = {"Run": "https://mlflow.example/#/experiments/1/runs/2"}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_first_lines_say_verdict_reason_place_and_next_step() -> None:
    made = decision((OPEN, LOST), Verdict.REGRESSED, sentence="REGRESSED: v3 is worse than v2")
    text = summary(comparison(slices=(BILLING,)), made, PAGES)
    head = text.splitlines()[:20]
    assert head[0] == "## ❌ REJECTED: REGRESSED: v3 is worse than v2"
    assert head[2] == (
        "**Why:** token F1 must not lose more than 0.05: does not hold, REGRESSED;"
        " +20.8 points, 95% CI +6.2 to +35.4"
    )
    assert head[4].startswith(
        "**Where:** most of the loss is on topic billing: \N{MINUS SIGN}20.0 points"
    )
    assert head[6].startswith(
        "**Next:** `llmops show models:/docstring-bot/3` nothing was promoted"
    )
    assert head[8] == f"[Run]({PAGES['Run']}) · version `models:/docstring-bot/3`"
    assert head[12].startswith(
        "| ❌ | token F1 must not lose more than 0.05 | 0.500 | 0.708 | +0.208 |"
    )
    assert head[13].startswith("| ❔ | likelihood must not lose more than 0.03 |")


def test_a_pass_names_the_command_that_promotes() -> None:
    text = summary(comparison(), decision(), PAGES)
    assert text.startswith("## ✅ PASSED: IMPROVED: v3 beats v2")
    assert "**Why:** 2 of 2 requirements hold; token F1 must improve: holds, IMPROVED" in text
    assert "**Next:** `llmops promote models:/docstring-bot/3`\n" in text
    assert "Would decide it" not in text


def test_the_figures_say_what_the_suite_can_show_and_what_it_cost() -> None:
    outlook = Outlook(0.13, False, 430, 120)
    made = decision((CHECKS[1], OPEN), Verdict.INCONCLUSIVE, outlook=outlook)
    text = summary(comparison(), made, {}, usd_per_hour=0.1)
    assert text.startswith("## ❔ INCONCLUSIVE: ")
    assert "- **MDE:** ±6.3 points at 80% power" in text
    assert "- **A/A flip rate:** at most 13%, the probability that two equally good" in text
    assert "- **Would decide it:** about 430 prompts at 80% power" in text
    assert "- **Cost:** 876 tokens answered, 960 read, 93 s, $0.0026" in text
    gain = replace(made, outlook=Outlook(0.975, True, None, 120))
    text = summary(comparison(), gain, {})
    assert "do not pass this gate, which demands a gain" in text
    assert "- **Would decide it:** no number of prompts" in text
    assert "$" not in text


HOSTILE = {
    "markup": "</code></table><script>alert(1)</script><img src=x onerror=y>",
    "mention": "@ann #12 !7 https://evil.example www.evil.example",
    "command": "x\n::error::y\n::add-mask::z\n/merge\n",
    "table": "a | b\n\n| c |\n# d\n[e](javascript:f)",
    "mark": "<!-- llmops gate -->",
    "controls": "\x1b[2J\x00\ud800\u202e\ufffe",
    "long": "<&'\"@ word " * 50_000,
    "hidden": "\u202e" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_foreign_text_is_shown_and_never_acts(text: str) -> None:
    shown = [
        row(i, text, text + "x", (0.9, i / 50), ("token_f1", text), messages=({"content": text},))
        for i in range(30)
    ]
    found = comparison(
        (metric("token_f1", -0.3, -0.2, -0.1), metric(text, -0.1, 0.0, 0.1)),
        shown,
        suite_name=text,
        notes=(text,) * 9,
        slices=(replace(BILLING, key=text, value=text),),
        baseline=side(text, text),
        candidate=side(text, text),
    )
    checks = (LOST, *(Check(text, "improve", 0.0, Verdict.INCONCLUSIVE, None, text),) * 40)
    made = decision(checks, Verdict.REGRESSED, sentence=text)
    out = summary(found, made, {text: f"https://x/{text}", **LINKS}, usd_per_hour=1.0)
    assert len(out.encode()) < 65_536 * 4
    assert len(out) < 65_000
    assert not re.search(r"(?m)^\s*(::|/|##\[)", out), "no command of GitHub or GitLab"
    outside = re.sub(r"`[^`\n]*`|<code>.*?</code>|\]\([^)\n]*\)", "", out)
    assert not re.search(r"@\w|(?<!&)#\d|!\d|://|www\.", outside)
    tags = Tags()
    tags.feed(re.sub(r"`[^`\n]*`|\\<", "", out))
    assert tags.seen <= {"table", "tr", "td", "th", "code", "br", "i", "details", "summary"}
    assert tags.attributes == set()
    assert all(c.isprintable() or c in "\n\u200b" for c in out)


def test_a_failure_never_looks_like_a_verdict() -> None:
    text = no_verdict_summary("store: it does not answer\n  Next: mlflow server <x> @ann", 1)
    assert text.startswith("## ⚠️ No verdict was reached\n")
    assert "exit code 1" in text
    assert "> Next: mlflow server \\<x\\>" in text
    assert not re.search("PASSED|REJECTED|INCONCLUSIVE|IMPROVED|@ann", text)
    page = no_verdict_page("<script>")
    assert "&lt;script&gt;" in page
    assert "No verdict was reached" in page
