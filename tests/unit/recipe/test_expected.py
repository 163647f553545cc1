"""A recipe's measured figures, and whether a run agrees with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_records import METRICS, comparison, side

from llmops.recipe.expected import report, tolerances
from llmops.recipe.load import load_recipe


def written(recipe: Path, content: object) -> None:
    (recipe.parent / "expected.json").write_text(json.dumps(content))


def test_bounds_belong_to_exactly_one_recipe(recipe: Path) -> None:
    loaded = load_recipe(recipe)
    assert tolerances(recipe, loaded) == {}
    written(
        recipe, {"figures_digest": loaded.figures_digest(), "tolerances": {"f1_gain_at_least": 1}}
    )
    assert tolerances(recipe, loaded) == {"f1_gain_at_least": 1.0}
    assert tolerances(recipe, load_recipe(recipe, ["seed=8"])) == {}


@pytest.mark.parametrize("content", [[], {}, {"tolerances": {"a": "x"}}, {"tolerances": [1]}])
def test_unreadable_figures_are_a_warning(
    recipe: Path, content: object, capsys: pytest.CaptureFixture[str]
) -> None:
    written(recipe, content)
    assert tolerances(recipe, load_recipe(recipe)) == {}
    assert "expected.json: not readable" in capsys.readouterr().err


BOUNDS = {"f1_gain_at_least": 0.2, "nll_tuned_at_most": 1.2, "f1_tuned_at_least": 0.7, "odd": 1.0}


def test_each_figure_stands_beside_its_bound() -> None:
    against_base = comparison(baseline=side("base"))
    assert report(against_base, BOUNDS) == [
        "f1_gain 0.208 (>= 0.200 kept)",
        "nll_tuned 1.204 (<= 1.200 MISSED)",
        "f1_tuned 0.708 (>= 0.700 kept)",
    ]


def test_gains_over_the_base_say_nothing_about_a_champion() -> None:
    lines = report(comparison(baseline=side("v2")), BOUNDS)
    assert [line.split()[0] for line in lines] == ["nll_tuned", "f1_tuned"]


def test_figures_that_were_not_measured_are_left_out() -> None:
    assert report(comparison(metrics=METRICS[1:2], nll=None), BOUNDS) == []
