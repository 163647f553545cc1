"""``llmops serve``: serve a version in the foreground, or start a deployment again."""

from __future__ import annotations

from typing import Any

import click

RESTART = "restart"


@click.command("serve")
@click.argument("target", metavar="{MODEL_URI | restart NAME}", nargs=-1, required=True)
@click.option("--name", help="Name of the deployment. Default: that of the registered model.")
@click.option("--engine", default="auto", show_default=True, help="auto, local or vllm.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8100,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--follow/--no-follow",
    default=None,
    help="Whether an alias is followed when it moves. Default: it is.",
)
@click.option(
    "--unproven",
    type=click.Choice(["refuse", "allow"]),
    default="refuse",
    show_default=True,
    help="What to do with a version without evidence.",
)
@click.option("--tls-cert", metavar="FILE", help="PEM file with the certificate.")
@click.option("--tls-key", metavar="FILE", help="PEM file with its private key.")
@click.option(
    "--cors",
    metavar="ORIGIN",
    multiple=True,
    help="Page that may ask from a browser, such as https://chat.example.org; may be repeated."
    " Default: without a key, pages from this machine.",
)
@click.option(
    "--vllm",
    metavar="PYTHON",
    help="Interpreter of the environment with vLLM. Default: that of LLMOPS_VLLM_PYTHON.",
)
@click.option("--traces/--no-traces", default=True, help="Whether answers are traced in MLflow.")
@click.pass_context
def command(ctx: click.Context, /, target: tuple[str, ...], name: str | None, **given: Any) -> None:
    """Serve MODEL_URI over the OpenAI protocol until Ctrl-C.

    `restart NAME` starts a deployment again after a crash: in the background, with the settings and
    the port that it had.

    In the background, with all options: mlflow deployments create -t llmops --name NAME -m MODEL_URI
    """
    if target[0] == RESTART:
        _restart(ctx, target[1:])
        return
    if len(target) > 1:
        raise click.UsageError(f"unexpected argument: {target[1]}", ctx)
    from llmops.serve import run
    from llmops.store import connection, registry

    connection.connect()
    registered, _ = registry.parse(target[0])
    run(name or registered, target[0], **given)


def _restart(ctx: click.Context, names: tuple[str, ...]) -> None:
    for option in ctx.params:
        if ctx.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE and (
            option != "target"
        ):
            raise click.UsageError(
                f"restart keeps the deployment's settings: omit --{option.replace('_', '-')}", ctx
            )
    if len(names) != 1:
        raise click.UsageError("restart: name one deployment: llmops serve restart NAME", ctx)
    from llmops.serve import restart

    restart(names[0])
