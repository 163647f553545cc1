"""``llmops webhook``: gate a version when MLflow's registry says that there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import click

from llmops.cli.options import read_recipe
from llmops.errors import UsageError
from llmops.progress import say

SECRET = "LLMOPS_WEBHOOK_SECRET"
SHORTEST = 16
"""Characters of a secret that nobody guesses."""


@click.group("webhook")
def command() -> None:
    """Gate versions when MLflow's registry reports them."""


@command.command("serve", short_help="Receive registry events and gate the versions they name.")
@click.argument("recipe", metavar="RECIPE")
@click.option("--suite", type=click.Path(path_type=Path), help="Held-out prompts; see llmops gate.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8190, show_default=True, help="Port."
)
def serve(recipe: str, suite: Path | None, host: str, port: int) -> None:
    """Receive events of MLflow's registry, and gate by the policy of RECIPE, until Ctrl-C.

    A version of flavor.model is gated when it is registered, or when flavor.alias moves to it; one at a
    time. The outcome is in the version's tags llmops.gated and llmops.delivery. No alias moves.

    The webhook's secret is read from LLMOPS_WEBHOOK_SECRET; deliveries without its signature are refused.
    """
    import uvicorn

    from llmops.serve.webhook.inbox import Inbox
    from llmops.store import connection

    resolved = read_recipe(recipe, ())
    secret = os.environ.get(SECRET, "")
    if len(secret) < SHORTEST:
        raise UsageError(
            f"{SECRET}: expected at least {SHORTEST} characters, received {len(secret)}",
            next_command=f"export {SECRET}=$(openssl rand -hex 24), and give the webhook the same",
        )
    connection.connect()
    work = partial(_gate, recipe, suite)
    inbox = Inbox(resolved.flavor.model, resolved.flavor.alias, secret, work)
    say(f"webhook: listening on http://{host}:{port}/webhook for {resolved.flavor.model}")
    try:
        uvicorn.run(inbox.app(), host=host, port=port, log_level="warning", access_log=False)
    finally:
        inbox.close()


def _gate(recipe: str, suite: Path | None, uri: str) -> int:
    """Gate a version in a process of its own, which gives back its memory; return the exit code."""
    words = [sys.executable, "-m", "llmops", "gate", recipe, "--candidate", uri]
    words += ["--suite", str(suite)] if suite else []
    kept = {name: value for name, value in os.environ.items() if name != SECRET}
    return subprocess.run(words, env=kept, stdout=sys.stderr, check=False).returncode
