"""Annotations of a job: few, one line each, and no text can begin another command."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_records import CHECKS, comparison, decision

from llmops.records import Check, Verdict
from llmops.report.ci import annotation_lines, no_verdict_annotation

URI = "models:/bot/3"
LOST = Check("token_f1", "not_regress", 0.05, Verdict.REGRESSED, passed=False)
OPEN = Check("likelihood", "not_regress", 0.03, Verdict.INCONCLUSIVE, passed=None)


def test_a_rejection_has_the_verdict_first_and_three_lines_at_most() -> None:
    made = decision((OPEN, LOST, LOST, LOST), Verdict.REGRESSED)
    lines = annotation_lines(made, URI, comparison())
    assert len(lines) == 3
    assert lines[0].startswith("::error title=Gate REJECTED::REGRESSED: v3 beats v2")
    assert f"next: llmops show {URI}" in lines[0]
    assert lines[1].startswith("::error title=Requirement::token F1 must not lose more than 0.05")
    assert "95%25 CI" in lines[1]


def test_an_open_requirement_is_a_warning_and_a_pass_says_nothing() -> None:
    lines = annotation_lines(decision((CHECKS[0], OPEN), Verdict.INCONCLUSIVE), URI)
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    assert lines[0].startswith("::error title=Gate INCONCLUSIVE::")
    assert annotation_lines(decision(), URI) == []
    allowed = replace(decision((CHECKS[0], OPEN)), passed=True)
    assert annotation_lines(allowed, URI)[0].startswith("::warning title=Gate PASSED::")


@pytest.mark.parametrize("text", ["a\n::add-mask::x", "b\r\n::error::y", "%0A::set-output", "100%"])
def test_no_text_begins_another_command(text: str) -> None:
    made = decision((replace(LOST, metric=text),), Verdict.REGRESSED, sentence=text)
    for line in [*annotation_lines(made, text), no_verdict_annotation(text)]:
        assert len(line.splitlines()) == 1
        assert "%0A" not in line
        assert line.startswith("::error title=")
        assert "%" not in line.replace("%25", "").replace("%3A", "").replace("%2C", "")
