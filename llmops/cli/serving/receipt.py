"""``llmops receipt``: show which version gave an answer, and verify it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from llmops.cli.options import columns, emit, output_option
from llmops.errors import IntegrityError

if TYPE_CHECKING:
    from llmops.serve.receipts import Check, Verified


@click.command("receipt")
@click.argument("trace_id")
@output_option
def command(trace_id: str, output: str) -> None:
    """Show which version, adapter and base gave the answer TRACE_ID, and verify its receipt.

    TRACE_ID is the header x-mlflow-trace-id of the answer. Each statement of the receipt is compared
    with the registry as it is now; exit code 1 if one contradicts it.

    Example: llmops receipt tr-0af7651916cd43dd8448eb211c80319c
    """
    from llmops.serve.receipts import verify
    from llmops.store import connection

    connection.connect(create=False)
    found = verify(trace_id)
    record = {**asdict(found), "verified": not found.contradictions}
    emit(output, _table(found), record)
    if found.contradictions:
        names = ", ".join(check.what for check in found.contradictions)
        raise IntegrityError(f"{trace_id}: its receipt contradicts what is found now: {names}")


def _table(found: Verified) -> str:
    receipt = found.receipt
    tokens = [
        "?" if count is None else str(count) for count in (found.input_tokens, found.output_tokens)
    ]
    facts = [
        ("trace", found.trace_id),
        ("time", f"{found.time or '?'}, {found.state}"),
        ("tokens", f"{tokens[0]} in, {tokens[1]} out"),
        ("deployment", receipt.deployment),
        ("version", receipt.version),
        ("adapter", receipt.adapter or "none: a full model"),
        ("base", receipt.base),
        ("decision", receipt.decision or "unproven"),
    ]
    checks = [(check.what, _word(check), check.found) for check in found.checks]
    return f"{columns(facts)}\n\n{columns([('checked', 'result', 'found now'), *checks])}"


def _word(check: Check) -> str:
    return {True: "agrees", False: "contradicts", None: "unknown"}[check.agrees]
