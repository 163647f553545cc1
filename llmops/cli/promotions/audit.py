"""``llmops audit``: find champions that no evidence covers."""

from __future__ import annotations

from dataclasses import asdict

import click

from llmops.cli.options import columns, emit, output_option
from llmops.errors import EXIT_OK, EXIT_REJECTED, UsageError


@click.command("audit")
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option("--all", "everything", is_flag=True, help="Audit every registered model.")
@click.option(
    "--mark",
    is_flag=True,
    help="Write the tag proof: UNPROVEN to what is found, and remove it from what is in order.",
)
@output_option
def command(names: tuple[str, ...], everything: bool, mark: bool, output: str) -> int:
    """Find champions that no evidence covers: moved by hand, changed, half promoted, or gone.

    The bytes of each champion are read in the store. No alias moves.

    Exit codes: 0 all in order, 3 something was found.

    Example: llmops audit --all
    """
    from llmops.gate import audit
    from llmops.store import connection

    if everything == bool(names):
        raise UsageError(
            "name the registered models to audit, or --all", next_command="llmops audit --all"
        )
    connection.connect(create=False)
    found = audit(None if everything else names, mark=mark)
    rows = [
        (f"{finding.name}@{finding.alias}", _version(finding.version), finding.problem)
        for finding in found
    ]
    steps = [f"  Next: {finding.next_command}" for finding in found if finding.next_command]
    text = "\n".join([columns(rows), *steps]) if rows else "every champion is proven"
    emit(output, text, {"ok": not found, "findings": [asdict(finding) for finding in found]})
    return EXIT_REJECTED if found else EXIT_OK


def _version(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"
