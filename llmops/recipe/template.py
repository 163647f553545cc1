"""Templates that make a prompt of several columns: ``{column}``, or Jinja in a sandbox."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llmops.errors import UsageError

JINJA = ("{{", "{%", "{#")
_COLUMN = re.compile(r"\{([^{}\n]+)\}")
_SANDBOX = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


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
        self._compiled = _SANDBOX.from_string(text) if self._jinja else None
        if not self.columns:
            raise UsageError(
                f"template {text!r}: names no column", next_command="write a column as {column}"
            )

    def render(self, cells: Mapping[str, Any]) -> str:
        """Return the template with the cells of a row; an empty cell is the empty text.

        Args:
            cells: Column → cell.

        Raises:
            UsageError: Jinja refuses the row.
        """
        texts = {name: "" if cells.get(name) is None else cells[name] for name in self.columns}
        if self._compiled is None:
            return _COLUMN.sub(lambda found: str(texts[found[1].strip()]), self._text).strip()
        try:
            return self._compiled.render(texts).strip()
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise UsageError(f"template: {error}") from error

    def _named(self) -> tuple[str, ...]:
        if not self._jinja:
            return tuple(dict.fromkeys(name.strip() for name in _COLUMN.findall(self._text)))
        try:
            return tuple(sorted(meta.find_undeclared_variables(_SANDBOX.parse(self._text))))
        except TemplateError as error:
            raise UsageError(f"template {self._text!r}: {error}") from error
