"""``llmops serve``: serve one version in the foreground until Ctrl-C."""

from __future__ import annotations

import click


@click.command("serve")
@click.argument("uri", metavar="MODEL_URI")
@click.option("--name", help="Model name that requests may use. Default: the registered name.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8100,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--cors",
    metavar="ORIGIN",
    multiple=True,
    help="Page that may ask from a browser, such as https://chat.example.org; may be repeated."
    " Default: without a key, pages from this machine.",
)
def command(uri: str, name: str | None, host: str, port: int, cors: tuple[str, ...]) -> None:
    """Serve MODEL_URI over the OpenAI chat protocol until Ctrl-C.

    To serve in the background: mlflow deployments create -t llmops --name NAME -m MODEL_URI
    """
    from llmops.serve import run
    from llmops.store import connection, registry

    connection.connect()
    resolved, _ = registry.parse(uri)
    run(name or resolved, uri, host=host, port=port, cors=cors)
