"""The table of several candidates."""

from __future__ import annotations

from report_records import METRICS, comparison, metric, side

from llmops.records import Standing
from llmops.report import standings_table


def standings() -> tuple[Standing, ...]:
    return (
        Standing(side("v3"), 0.708, METRICS[0], 0.022, (0.41, 0.1)),
        Standing(side("v4"), 0.6, metric("token_f1", -0.1, 0.1, 0.3), 0.21, None),
        Standing(side("v2"), 0.5, None, None, (-0.41, 0.1)),
    )


def test_each_side_is_a_line_and_columns_line_up():
    made = [comparison(), comparison(candidate=side("v4"))]
    head, header, *lines = standings_table(made, standings()).splitlines()
    assert head.startswith("2 candidates vs models:/docstring-bot/2, 120 paired prompts")
    assert [line.split()[0] for line in lines[:3]] == ["v3", "v4", "v2"]
    cells = "v3 0.708 +0.208 [+0.062, +0.354] 0.011 0.022 +0.41 ± 0.10 improved"
    assert " ".join(lines[0].split()) == cells
    column = header.index("strength")
    assert [line[column:].split()[0] for line in lines[:3]] == ["+0.41", "-", "-0.41"]
    assert lines[2].endswith("baseline")


def test_a_note_of_several_comparisons_is_shown_once():
    made = [comparison(), comparison(candidate=side("v4"))]
    text = standings_table(made, standings())
    assert text.count("Note: 2 prompts were left out") == 1
    assert "ROUGE-L, one line, likelihood: in the run of each candidate" in text
