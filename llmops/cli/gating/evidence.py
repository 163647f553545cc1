"""``llmops evidence``: check the evidence of a version from the store alone, and make keys."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from llmops.cli.options import columns, emit, output_option
from llmops.errors import EXIT_FAILURE, EXIT_OK


@click.group("evidence")
def command() -> None:
    """Check the evidence of a version, and make keys that sign it."""


@command.command("verify")
@click.argument("uri", metavar="MODEL_URI")
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PUB.pem",
    help="Ed25519 public key by which the evidence must be signed.",
)
@output_option
def verify(uri: str, key: Path | None, output: str) -> int:
    """Check every digest that the evidence of MODEL_URI names: files, suite, policy, verdict.

    Everything is read from the MLflow store; nothing is generated. Exit codes: 0 all is as recorded,
    1 something is not.

    Example: llmops evidence verify models:/quickstart@champion
    """
    from llmops.gate.evidence.verify import verify as check
    from llmops.store import connection

    connection.connect(create=False)
    findings = check(uri, key)
    bad = any(finding.fatal for finding in findings)
    rows = [(str(finding.state), finding.part, finding.says) for finding in findings]
    record = {"uri": uri, "valid": not bad, "findings": [asdict(finding) for finding in findings]}
    emit(output, columns(rows), record)
    return EXIT_FAILURE if bad else EXIT_OK


@command.command("keygen")
@click.argument("file", type=click.Path(path_type=Path))
def keygen(file: Path) -> None:
    """Write a new private key to FILE, and its public key to FILE.pub.

    Example: llmops evidence keygen gate.pem
    """
    from llmops.gate.evidence.signature import make_keys

    public = make_keys(file)
    click.echo(f"{file}: keep it secret; `llmops gate … --sign-with {file}` signs with it")
    click.echo(f"{public}: give it away; `llmops evidence verify MODEL_URI --key {public}` checks")
