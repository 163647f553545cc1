"""``llmops promote``: move an alias, if the evidence allows it."""

from __future__ import annotations

import click

from llmops.cli.options import emit, output_option


@click.command("promote")
@click.argument("uri", metavar="MODEL_URI")
@click.option("--alias", default="champion", show_default=True, help="Alias to move.")
@output_option
def command(uri: str, alias: str, output: str) -> None:
    """Move an alias to MODEL_URI if its evidence passed against the current champion.

    Example: llmops promote models:/quickstart@challenger
    """
    from llmops.gate import promote
    from llmops.store import connection

    connection.connect()
    promoted = promote(uri, alias=alias)
    emit(output, f"@{alias} now points to {promoted}", {"version": promoted, "alias": alias})
