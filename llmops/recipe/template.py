"""Templates that make a prompt of several columns: ``{column}``, or Jinja in a sandbox."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llmops.errors import UsageError, first_line

JINJA = ("{{", "{%", "{#")
_COLUMN = re.compile(r"\{([^{}\n]+)\}")
REFUSED = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError)
HOW = "write a column as {column}, or as {{ column }} in Jinja"


def text_of(cell: Any) -> Any:
    """Return a list or an object of a cell as JSON, anything else as it is."""
    if isinstance(cell, (dict, list)):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return cell


def _sandbox() -> ImmutableSandboxedEnvironment:
    """Return an environment without randomness: the same rows must make the same prompts."""
    sandbox = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, finalize=text_of
    )
    del sandbox.filters["random"], sandbox.globals["lipsum"]
    return sandbox


_SANDBOX = _sandbox()


class Template:
    """A prompt with columns in it.

    Args:
        text: The template. ``{name}`` is the cell of a column; with ``{{ }}``, ``{% %}`` or ``{# #}``
            it is Jinja, which cannot reach anything but the cells.

    Attributes:
        columns: Columns that it names, in their order.

    Raises:
        UsageError: It is no template, or names no column.

    Example:
        from llmops.recipe.template import Template

        print(Template("{instruction}: {input}").render({"instruction": "Add", "input": "2 + 2"}))
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._jinja = any(mark in text for mark in JINJA)
        self.columns = self._named()
        self._compiled = self._read() if self._jinja else None
        if not self.columns:
            raise UsageError(f"template {text!r}: names no column", next_command=HOW)

    def render(self, cells: Mapping[str, Any]) -> str:
        """Return the template with the cells of a row; an empty cell is the empty text, a list JSON.

        Args:
            cells: Column → cell.

        Raises:
            UsageError: Jinja refuses the row.
        """
        texts = {name: "" if cells.get(name) is None else cells[name] for name in self.columns}
        if self._compiled is None:
            return _COLUMN.sub(
                lambda found: str(text_of(texts[found[1].strip()])), self._text
            ).strip()
        try:
            return self._compiled.render(texts).strip()
        except (*REFUSED, MemoryError) as error:
            raise UsageError(f"template: {_reason(error)}", next_command=HOW) from error

    def _read(self) -> jinja2.Template:
        try:
            return _SANDBOX.from_string(self._text)
        except (*REFUSED, SyntaxError) as error:  # such as an unknown filter, or deep nesting
            raise self._refusal(error) from error

    def _named(self) -> tuple[str, ...]:
        if not self._jinja:
            return tuple(dict.fromkeys(name.strip() for name in _COLUMN.findall(self._text)))
        try:
            return tuple(sorted(meta.find_undeclared_variables(_SANDBOX.parse(self._text))))
        except (*REFUSED, SyntaxError) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: BaseException) -> UsageError:
        return UsageError(f"template {self._text!r}: {_reason(error)}", next_command=HOW)


def _reason(error: BaseException) -> str:
    return (
        first_line(error)
        if isinstance(error, TemplateError)
        else f"{type(error).__name__}: {first_line(error)}"
    )
