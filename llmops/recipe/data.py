"""The section ``data``: where examples come from, what of them is read, and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from llmops.errors import UsageError
from llmops.recipe.section import Fraction, Section
from llmops.recipe.template import Template


def _template(text: str) -> str:
    """Check that a template can be read, and names a column."""
    try:
        Template(text)
    except UsageError as error:
        raise ValueError(error.message) from error
    return text


class OwnTest(Section):
    """A test file of your own, which is then the suite; it has the columns of ``data.path``."""

    path: Path
    """CSV, TSV, JSON, JSON lines or Parquet file, relative to the recipe."""


class Data(Section):
    """Where examples come from and how they are split."""

    source: Literal["stdlib_docstrings", "file"] = "file"
    """``file``: your file; ``stdlib_docstrings``: signatures and docstrings of Python's library."""
    path: Path | None = None
    """CSV, TSV, JSON, JSON lines or Parquet file, relative to the recipe."""
    prompt: str = "prompt"
    """Column with the user's message."""
    completion: str = "completion"
    """Column with the expected answer."""
    template: Annotated[str, AfterValidator(_template)] | None = None
    """Text of the user's message with columns in it, such as ``"{instruction}\\n\\n{input}"``, instead of
    ``prompt``; with ``{{ }}`` or ``{% %}`` it is a Jinja template."""
    messages: str | None = None
    """Column with a conversation, a list of ``{role, content}``, instead of ``prompt`` and
    ``completion``. Each turn of the assistant is an example."""
    system: str | None = None
    """System message before every conversation that has none."""
    group: str | None = None
    """Column that groups rows: rows with the same value stay in one split and form one cluster.
    Without it, every row is a group of its own, as is a row whose cell is empty."""
    slices: tuple[str, ...] = ()
    """Columns whose values are slices of the suite, beside columns that are named ``slice.NAME``."""
    test: OwnTest | None = None
    """A test file of your own; ``test_fraction`` then does not count."""
    validation_fraction: Fraction = 0.14
    """Share of the examples used to measure the validation loss."""
    test_fraction: Fraction = 0.2
    """Share of the examples held out as the suite."""
    limit: int | None = Field(default=None, ge=10)
    """Use at most this many examples, for smoke runs."""

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        if self.source == "file" and self.path is None:
            raise ValueError("source `file` needs `path`")
        if self.source != "file" and self.path is not None:
            raise ValueError(f"`path` belongs to source `file`, not `{self.source}`")
        if self.messages and self.template:
            raise ValueError("`messages` and `template` are two ways to make a prompt; keep one")
        if self.validation_fraction + self.test_fraction >= 0.9:
            raise ValueError("validation_fraction + test_fraction must stay below 0.9")
        return self
