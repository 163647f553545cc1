"""``llmops keys``: make, list and revoke the keys of this machine's deployments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from llmops.cli.options import columns, emit, output_option


@click.group("keys")
def command() -> None:
    """Make, list and revoke keys for the deployments of this machine.

    As soon as there is one, every deployment here demands a key.
    """


@command.command("add", short_help="Make a key, and print it once.")
@click.argument("name")
@click.option(
    "--requests-per-minute", type=click.IntRange(1), metavar="N", help="Most requests in a minute."
)
@click.option(
    "--tokens-per-minute",
    type=click.IntRange(1),
    metavar="N",
    help="Most tokens in a minute, those of the prompts included.",
)
@output_option
def add(
    name: str, requests_per_minute: int | None, tokens_per_minute: int | None, output: str
) -> None:
    """Make the key NAME and print it; only its hash is kept.

    Running deployments accept it within two seconds. Clients send `Authorization: Bearer KEY`.

    Example: llmops keys add ci --requests-per-minute 60
    """
    from llmops.progress import say
    from llmops.serve.auth import store

    limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
    key = store.add(name, **limits)
    emit(output, key, {"name": name, "key": key, **limits})
    say("This is the only time that the key is shown. Clients of llmops read LLMOPS_API_KEY.")


@command.command("ls", short_help="List the keys.")
@output_option
def ls(output: str) -> None:
    """List the names, limits and last use of the keys; their texts are not kept."""
    from llmops.serve.auth import store

    keys = store.list_keys()
    if output == "table" and not keys:
        click.echo("No key.\n  Next: llmops keys add NAME")
        return
    head = ("name", "created", "last used", "requests/min", "tokens/min", "")
    rows = [
        (
            key.name,
            _day(key.created),
            _day(key.last_used),
            _limit(key.requests_per_minute),
            _limit(key.tokens_per_minute),
            f"revoked {_day(key.revoked)}" if key.revoked else "",
        )
        for key in keys
    ]
    emit(output, columns([head, *rows]), {"keys": [_record(key) for key in keys]})


@command.command("revoke", short_help="Revoke a key.")
@click.argument("name")
@output_option
def revoke(name: str, output: str) -> None:
    """Revoke the key NAME: running deployments refuse it within two seconds."""
    from llmops.serve.auth import store

    store.revoke(name)
    emit(output, f"{name}: revoked", {"name": name, "revoked": True})


def _record(key: Any) -> dict[str, Any]:
    return {
        "name": key.name,
        "created": key.created,
        "revoked": key.revoked,
        "last_used": key.last_used,
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
    }


def _day(moment: float | None) -> str:
    return (
        "never" if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
    )


def _limit(limit: int | None) -> str:
    return "-" if limit is None else f"{limit:,}"
