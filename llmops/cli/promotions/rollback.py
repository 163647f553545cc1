"""``llmops rollback``: move an alias back to a version that had it before."""

from __future__ import annotations

import click

from llmops.cli.options import emit, output_option


@click.command("rollback")
@click.argument("name", metavar="MODEL")
@click.option("--to", metavar="VERSION", help="Version; default: the champion before this one.")
@click.option("--why", required=True, help="Reason, which the history keeps.")
@click.option("--alias", default="champion", show_default=True, help="Alias to move.")
@output_option
def command(name: str, to: str | None, why: str, alias: str, output: str) -> None:
    """Move an alias of the registered MODEL back to a version that was champion before.

    The version's bytes are read in the store. A rollback that was broken off is finished.

    Example: llmops rollback quickstart --why "answers in the wrong language"
    """
    from llmops.gate import rollback
    from llmops.store import connection

    connection.connect(create=False)
    back = rollback(name, to=to, why=why, alias=alias)
    emit(output, f"@{alias} points to {back} again", {"version": back, "alias": alias})
