"""``llmops ls``: list models and versions, with their aliases and verdicts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from llmops.cli.options import columns, emit, output_option

if TYPE_CHECKING:
    from llmops.store.listing import ListedModel, ListedVersion

NONE = "-"


@click.command("ls")
@click.argument("name", required=False, metavar="[MODEL]")
@output_option
def command(name: str | None, output: str) -> None:
    """List the registered models; with MODEL, its versions, the newest first.

    The verdict is that of the version's newest gate. Nothing is created, and no weights are read.

    Example: llmops ls quickstart
    """
    from llmops.store import connection
    from llmops.store.listing import list_models, list_versions

    connection.connect(create=False)
    if name is None:
        models = list_models()
        rows = [("MODEL", "VERSIONS", "ALIASES", "NEWEST", "VERDICT"), *map(_model, models)]
        text = columns(rows) if models else "No model is registered.\n  Next: llmops run quickstart"
        emit(output, text, {"models": [asdict(each) for each in models]})
        return
    versions = list_versions(name)
    head = ("VERSION", "ALIASES", "VERDICT", "DIFFERENCE", "VERSUS", "CREATED")
    text = columns([head, *map(_version, versions)])
    emit(output, text, {"model": name, "versions": [asdict(each) for each in versions]})


def _model(model: ListedModel) -> tuple[str, ...]:
    aliases = ", ".join(f"@{alias} {version}" for alias, version in model.aliases.items())
    newest = model.newest
    return (
        model.name,
        str(model.versions),
        aliases or NONE,
        newest.version if newest else NONE,
        _verdict(newest) if newest else NONE,
    )


def _version(version: ListedVersion) -> tuple[str, ...]:
    return (
        version.version,
        ", ".join(f"@{alias}" for alias in version.aliases) or NONE,
        _verdict(version),
        version.delta or NONE,
        version.versus or NONE,
        version.created[:16].replace("T", " "),
    )


def _verdict(version: ListedVersion) -> str:
    verdict = version.verdict or ("base" if version.kind == "base" else NONE)
    return f"{verdict}, {version.proof}" if version.proof else verdict
