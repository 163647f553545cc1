"""Rendering of the templates in this folder, with every value escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("llmops.report", "."),
        autoescape=True,  # in every file, whatever its suffix
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, **values: object) -> str:
    """Render a template of this folder.

    Args:
        name: Path within this folder, such as ``html/report.html.j2``.
        **values: Values that the template uses; strings are escaped, ``Markup`` is not.

    Raises:
        jinja2.UndefinedError: The template uses a value that is missing.
    """
    return _environment().get_template(name).render(**values)
