"""The templates beside this file, rendered with every value escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("llmops.report", "."),
        autoescape=True,  # of every file, whatever its suffix
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, **values: object) -> str:
    """Renders a template of this folder.

    Args:
        name: File name, such as ``report.html.j2``.
        **values: What the template names; strings are escaped, ``Markup`` is not.

    Raises:
        jinja2.UndefinedError: The template names a value that was not given.
    """
    return _environment().get_template(name).render(**values)
