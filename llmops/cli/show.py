"""``llmops show``: show where a version comes from, and what to do with it next."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from llmops.cli.options import emit, output_option
from llmops.records import Verdict

if TYPE_CHECKING:
    from llmops.gate.promotion.audit import Finding
    from llmops.records.lineage import Lineage


@click.command("show")
@click.argument("uri")
@output_option
def command(uri: str, output: str) -> None:
    """Show the base, adapter, data, recipe, code, run and evidence of the version URI.

    URI is models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-ID (a logged model), or the name of
    a registered base model. Weights are not read.

    Example: llmops show models:/quickstart@champion
    """
    from llmops.models.lineage import lineage
    from llmops.report.lineage import lineage_table
    from llmops.store import connection

    connection.connect(create=False)
    origin = lineage(uri)
    broken = _half_done(origin)
    step = broken[0].next_command if broken else next_command(origin)
    lines = [f"@{finding.alias} is {finding.problem}" for finding in broken]
    emit(
        output,
        "\n\n".join([lineage_table(origin) + _needs(origin), *lines, f"Next: {step}"]),
        {**asdict(origin), "next_command": step, "half_done": [asdict(one) for one in broken]},
    )


def _half_done(lineage: Lineage) -> tuple[Finding, ...]:
    """Return the promotions of the version's model that were broken off."""
    from llmops.gate.promotion.audit import half_done

    if lineage.link is None:  # a logged model, which is no version
        return ()
    return half_done([lineage.uri.removeprefix("models:/").partition("/")[0]])


def _needs(lineage: Lineage) -> str:
    """Return a line with the command that serves the links; empty if there are none, or a server."""
    from llmops.store import connection

    hint = connection.ui_hint() if lineage.link else None
    return f"\n     needs: {hint}" if hint else ""


def next_command(lineage: Lineage) -> str:
    """Return the command that a version needs next: compare, gate, promote, export or deploy."""
    uri = lineage.uri
    if lineage.link is None:
        return f"llmops export {uri} DIRECTORY"
    if lineage.evidence is not None and lineage.evidence.other_bytes:
        return f"llmops gate RECIPE --candidate {uri}"
    if lineage.kind == "adapter" and "champion" not in lineage.aliases:
        verdict = lineage.evidence.verdict if lineage.evidence else None
        if verdict is None and lineage.recipe_digest is None:
            base = lineage.base.uri or lineage.base.name
            return f"llmops compare {base} {uri} --suite SUITE.jsonl"
        if verdict is None:
            return f"llmops gate RECIPE --candidate {uri}"
        if verdict in (Verdict.IMPROVED, Verdict.NOT_WORSE) and _is_stale(lineage):
            return f"llmops gate RECIPE --candidate {uri}"
        if verdict in (Verdict.IMPROVED, Verdict.NOT_WORSE):
            return f"llmops promote {uri}"
        return f"llmops gate RECIPE --candidate {uri} --suite MORE_PROMPTS.jsonl"
    name = uri.removeprefix("models:/").partition("/")[0]
    if "champion" in lineage.aliases:
        uri = f"models:/{name}@champion"
    return f"mlflow deployments create -t llmops --name {name} -m {uri}"


def _is_stale(lineage: Lineage) -> bool:
    """Return whether the evidence is against another side than today's champion."""
    from llmops.store import registry

    name = lineage.uri.removeprefix("models:/").partition("/")[0]
    champion = registry.version_of_alias(name, "champion")
    versus = lineage.evidence.versus if lineage.evidence else None
    return (
        champion is not None
        and versus is not None
        and versus
        not in (
            f"v{champion}",
            f"{name}/{champion}",
        )
    )
