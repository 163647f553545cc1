"""``llmops promote``: move an alias, if the evidence allows it."""

from __future__ import annotations

import click

from llmops.cli.options import emit, output_option


@click.command("promote")
@click.argument("uri", metavar="MODEL_URI")
@click.option("--to", "alias", default="champion", show_default=True, help="Alias to move.")
@click.option(
    "--policy-changed",
    is_flag=True,
    help="Accept a policy or suite other than those of the last promotion; needs --why.",
)
@click.option("--why", default="", help="Reason, which the history keeps.")
@output_option
def command(uri: str, alias: str, policy_changed: bool, why: str, output: str) -> None:
    """Move an alias to MODEL_URI if its evidence passed against the current champion.

    A promotion that was broken off is finished. Of several at once, one succeeds.

    Example: llmops promote models:/quickstart@challenger
    """
    from llmops.gate import promote
    from llmops.store import connection

    connection.connect(create=False)
    promoted = promote(uri, alias=alias, policy_changed=policy_changed, why=why)
    emit(output, f"@{alias} now points to {promoted}", {"version": promoted, "alias": alias})
