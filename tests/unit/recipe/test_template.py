"""Prompts of several columns; nothing but the cells can be reached."""

from __future__ import annotations

import pytest

from llmops.errors import UsageError
from llmops.recipe.template import Template


def test_columns_are_filled_in() -> None:
    template = Template("{instruction}\n\n{input}")
    assert template.columns == ("instruction", "input")
    assert template.render({"instruction": "Add", "input": 4, "more": "x"}) == "Add\n\n4"
    assert template.render({"instruction": "Add", "input": None}) == "Add"
    assert template.render({"instruction": "{input}", "input": "x"}) == "{input}\n\nx"
    assert Template("{a column}").render({"a column": "x"}) == "x"


def test_jinja_has_conditions() -> None:
    template = Template("{{ a }}{% if b %} ({{ b | upper }}){% endif %}")
    assert template.columns == ("a", "b")
    assert template.render({"a": "x", "b": "y"}) == "x (Y)"
    assert template.render({"a": "x"}) == "x"


@pytest.mark.parametrize("text", ["", "no column", "{}", "{{ 7 }}"])
def test_a_template_without_a_column_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="names no column"):
        Template(text)


@pytest.mark.parametrize("text", ["{% if a %}", "{{ a b }}", "{{ a | nothing }}"])
def test_what_jinja_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="template"):
        Template(text).render({"a": "x"})


@pytest.mark.parametrize(
    "text",
    [
        "{{ a.__class__.__mro__ }}",
        "{{ a.format.__globals__ }}",
        "{% for i in range(10 ** 9) %}{{ a }}{% endfor %}",
    ],
)
def test_only_the_cells_can_be_reached(text: str) -> None:
    with pytest.raises(UsageError, match="template"):
        Template(text).render({"a": "x"})


@pytest.mark.parametrize(
    "text",
    [
        "{{ a | random }}",
        "{{ a }}{{ lipsum() }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}{{ a }}",
        "{{ a is nothing }}",
        "{% include a %}",
        f"{{{{ {'(' * 2000}a{')' * 2000} }}}}",
    ],
)
def test_chance_endless_macros_and_unknown_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="template") as refusal:
        Template(text).render({"a": "x"})
    assert refusal.value.next_command


@pytest.mark.parametrize("text", ["{a}", "{{ a }}"])
def test_lists_and_objects_are_json(text: str) -> None:
    assert Template(text).render({"a": [1, {"k": None}]}) == '[1, {"k": null}]'
