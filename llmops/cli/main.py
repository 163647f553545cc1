"""``llmops``: find the verb, run it, and turn every error into a message and an exit code."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from importlib import import_module
from typing import NoReturn

import click

import llmops
from llmops.errors import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    LlmopsError,
    first_line,
    masked,
)
from llmops.store import interrupts

VERBS = {
    "init": "Write a recipe for a file of examples.",
    "run": "Run a recipe: data, train, register, compare, gate, serve.",
    "validate": "Check a recipe and print it with all defaults.",
    "data": "Collect, split and write a recipe's data.",
    "train": "Train a recipe's adapter and register it as a version.",
    "power": "Compute how many held-out prompts a comparison needs.",
    "compare": "Compare versions on held-out prompts.",
    "gate": "Decide by a recipe's policy whether a version may be promoted.",
    "promote": "Move an alias to a version whose evidence allows it.",
    "rollback": "Move an alias back to a version that was champion before.",
    "history": "Show which version was champion from when to when, and why.",
    "audit": "Find champions that no evidence covers.",
    "evidence": "Check the evidence of a version from the store alone; make keys that sign it.",
    "serve": "Serve a version in the foreground (see also `mlflow deployments -t llmops`).",
    "webhook": "Gate versions when MLflow's registry reports them.",
    "keys": "Make, list and revoke keys for the deployments of this machine.",
    "receipt": "Show which version gave an answer, and verify it.",
    "ls": "List models and versions, with their aliases and verdicts.",
    "show": "Show where a version comes from, and its evidence.",
    "export": "Write a version for other programs: merged, as an adapter, or as GGUF.",
    "base": "Add and list base models.",
    "cache": "List and clean what llmops keeps on this machine.",
    "recipes": "List, show and copy the recipes that come with llmops.",
    "doctor": "Check this machine, and print the next command for what is missing.",
}

ROOMS = {
    **dict.fromkeys(("gate", "evidence"), "gating."),
    **dict.fromkeys(("promote", "rollback", "history", "audit"), "promotions."),
    **dict.fromkeys(("serve", "webhook", "keys", "receipt"), "serving."),
}
"""Verb → folder of its module, with the dot behind it; of the verbs that are not beside this module."""

QUIET = {
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where our result goes, such as JSON
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""Settings that hide the libraries' own bars and notices, which would bury ours, and lower MLflow's
seven retries of a request, which take minutes after a server died. A user's setting wins."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Error numbers of a disk that takes no more bytes."""


class Verbs(click.Group):
    """The verbs, each imported only when it is called: ``--help`` must not import torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order of the loop."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of a verb; ``None`` for an unknown verb."""
        if name not in VERBS:
            return None
        module = f"llmops.cli.{ROOMS.get(name, '')}{name}"
        command: click.Command = import_module(module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(llmops.__version__, prog_name="llmops")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Your data in, a small model you own out, no champion without proof.

    Exit codes: 0 passed, 1 runtime failure, 2 usage or configuration, 3 rejected,
    4 inconclusive, 130 interrupted.
    """


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    debug = "--debug" in sys.argv[1:2] or os.environ.get("LLMOPS_DEBUG", "0") not in ("", "0")
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    interrupts.install()
    _silence_notices()
    sys.exit(_guarded(debug))


def _guarded(debug: bool) -> int:
    """Run the command line, report its errors, and return the exit code."""
    try:
        return int(cli.main(standalone_mode=False, prog_name="llmops") or 0)
    except (KeyboardInterrupt, click.Abort):  # click turns the first into the second
        click.echo("Interrupted.\n  Next: rerun the same command to resume", err=True)
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except LlmopsError as error:
        if debug:
            raise
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        return EXIT_FAILURE
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return _no_room(error)
        return _unexpected(error)


def _no_room(error: OSError) -> int:
    from llmops.files import home

    file = error.filename or f"standard output, or a file in {home.home()}"
    click.echo(f"Error: cannot write {file}: {error.strerror}", err=True)
    click.echo("  Next: free disk space, then rerun the same command to resume", err=True)
    return EXIT_FAILURE


def _unexpected(error: Exception) -> int:
    """Report an error that we did not foresee; the traceback is shown only with ``--debug``."""
    click.echo(f"Error: {type(error).__name__}: {first_line(error)}", err=True)
    again = masked(shlex.join(["llmops", "--debug", *sys.argv[1:]]))
    click.echo(f"  Next: {again}  (shows the traceback)", err=True)
    return EXIT_FAILURE


def _silence_notices() -> None:
    """Hide the deprecation warnings of libraries: our tests show them, users cannot act on them.

    The same holds for bitsandbytes, which on some processors advises to install a package that would
    download code; only 4-bit models would be faster with it.
    """
    import logging
    import warnings

    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

    for category in (FutureWarning, DeprecationWarning, UserWarning):
        warnings.simplefilter("ignore", category)
