"""``llmops history``: show which version was champion from when to when, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from llmops.cli.options import columns, emit, output_option

if TYPE_CHECKING:
    from llmops.gate.promotion.history import Reign

HOW = {"promote": "promoted", "rollback": "rolled back", "adopted": "had it already"}
HEAD = ("VERSION", "ALIAS", "FROM", "UNTIL", "HOW", "BY", "EVIDENCE", "WHY")
DIGITS = 12
"""Digits shown of the evidence's digest."""


@click.command("history")
@click.argument("name", metavar="MODEL")
@click.option("--alias", help="Only this alias; default: all that were ever promoted to.")
@output_option
def command(name: str, alias: str | None, output: str) -> None:
    """Show which version of the registered MODEL was champion from when to when.

    Each line says by whom it was promoted or rolled back, on which evidence, and why. Times are UTC.

    Example: llmops history quickstart
    """
    from llmops.gate import history
    from llmops.store import connection

    connection.connect(create=False)
    reigns = history(name, alias=alias)
    rows = [HEAD, *(_row(reign) for reign in reigns)]
    text = columns(rows) if reigns else f"{name}: no promotion is on record"
    emit(output, text, {"model": name, "history": [_record(reign) for reign in reigns]})


def _row(reign: Reign) -> tuple[str, ...]:
    from llmops.report.wording import clean

    entry = reign.entry
    changed = "policy or suite changed: " if entry.policy_changed else ""
    return (
        entry.version,
        f"@{entry.alias}",
        _time(entry.when),
        _time(reign.until) if reign.until else "now",
        HOW[entry.kind],
        clean(entry.who, 40) or "unknown",
        (entry.evidence or "none")[:DIGITS],
        f"{changed}{clean(entry.why, 200)}",
    )


def _record(reign: Reign) -> dict[str, Any]:
    record = asdict(reign.entry)
    del record["nonce"]
    return {**record, "since": record.pop("when"), "until": reign.until}


def _time(moment: str) -> str:
    return f"{moment[:19].replace('T', ' ')} UTC"
