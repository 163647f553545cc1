"""The page of the command line: what every help text prints."""

from __future__ import annotations

from collections.abc import Iterator

import click

from llmops.cli.main import cli

WIDTH = 80
"""Columns of the help texts, whatever the terminal."""

HEAD = """\
# Command line

What `llmops --help` and the help of every verb print. Exit codes and errors are on
[a page of their own](exit-codes-and-errors.md), as are
[environment variables](environment-variables.md). `python -m llmops` is the same program.
"""


def page() -> str:
    """Return the help of the program and of every verb as Markdown."""
    root = cli.make_context("llmops", [], resilient_parsing=True, terminal_width=WIDTH)
    found = list(_contexts(root))
    contents = [f"- [`{c.command_path}`](#{c.command_path.replace(' ', '-')})" for c in found]
    sections = [f"## `{c.command_path}`\n\n```text\n{c.get_help()}\n```\n" for c in found]
    return "\n".join([HEAD, *contents, "", *sections])


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command and of all below it, in the order of the help."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            yield from _contexts(
                command.make_context(name, [], parent=context, resilient_parsing=True)
            )
