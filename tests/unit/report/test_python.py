"""What a notebook gets from a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_records import comparison, rows

from llmops.errors import UsageError
from llmops.report.python import frame, notebook, save


def test_the_frame_has_a_row_for_each_prompt_and_all_that_is_known_of_it() -> None:
    from dataclasses import replace

    shown = list(rows(3))
    shown[1] = replace(shown[1], example=replace(shown[1].example, slices={"topic": "tax"}))
    found = comparison(shown=shown).to_df()
    assert list(found.columns[:5]) == ["id", "prompt", "expected", "baseline", "candidate"]
    assert list(found["id"]) == ["q0", "q1", "q2"]
    assert list(found["token_f1 baseline"]) == [0.5] * 3
    assert found["token_f1 difference"].tolist() == pytest.approx([-0.5, -0.4, -0.3])
    assert found["slice.topic"].tolist()[1] == "tax"
    assert found["slice.topic"].isna().tolist() == [True, False, True]
    assert frame(comparison(shown=())).empty


def test_the_report_is_a_file(tmp_path: Path) -> None:
    place = comparison().report(tmp_path / "report.html")
    assert place == tmp_path / "report.html"
    assert "<!doctype html>" in place.read_text(encoding="utf-8")
    assert save(comparison(), str(place)) == place, "written over"


@pytest.mark.parametrize(
    ("path", "says"), [(".", "is a folder"), ("no/report.html", "does not exist")]
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, path: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        comparison().report(tmp_path / path)


def test_a_notebook_shows_the_first_screen() -> None:
    page = comparison()._repr_html_()
    assert page == notebook(comparison())
    assert "v3 beats v2 on token F1" in page


def test_the_text_of_a_comparison_is_one_line_without_a_path() -> None:
    text = repr(comparison())
    assert text.startswith(
        "<Comparison docstring-bot/3 vs docstring-bot/2, 12 prompts: token_f1 +0.208 ["
    )
    assert "Path" not in text
