"""Options of a deployment as MLflow passes them: texts of the command line, or values of Python."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from typing import Any

from llmops.errors import UsageError
from llmops.serve.deployment import options
from llmops.serve.deployment.config import Config

HELP = """\
Target `llmops`: deployments on this machine, OpenAI protocol.

  mlflow deployments create -t llmops --name bot -m models:/bot@champion [-C KEY=VALUE ...]
  mlflow deployments update -t llmops --name bot [-m models:/bot/8]
  mlflow deployments get|delete -t llmops --name bot
  mlflow deployments list -t llmops

A deployment follows its alias: when @champion moves, the new version is served, without a lost
request. `update` does that at once, or serves what -m names. If the new version cannot be served,
the old one goes on.

Options of create and run-local (-C KEY=VALUE):
  follow         false pins the version that the alias names now (default: true for an alias);
                 also an option of update
  port, host     address to listen on (default: a free port of 127.0.0.1); an address that other
                 machines can reach needs a key: `llmops keys add NAME`, or LLMOPS_API_KEY
  tls_cert, tls_key   PEM files; both give https
  cors           pages that may ask from a browser, such as https://chat.example.org, several with
                 commas between (default: without a key, pages from this machine)
  unproven       allow serves versions without evidence, and says so (default: refuse)
  engine         vllm, local, or auto (default): vllm with a GPU and an environment with vLLM
  vllm           Python interpreter of that environment (default: LLMOPS_VLLM_PYTHON)
  vllm_args      further arguments of `vllm serve`, as in a shell
  merged         true merges the version into its base before it is served
  memory         share of the GPU's memory for vLLM, 0 to 1 (default: what is free)
  queue          requests that may wait (default: 128); further ones get 503
  concurrency    requests that are answered together (default: the engine's)
  max_tokens     most tokens that a request may ask for, and an answer without a limit has (default:
                 4096)
  max_body       most bytes of a request (default: 1048576)
  stall          seconds without a piece of a streamed answer that break it off (default: 20)
  traces         false records no traces in MLflow (default: true)
  trace_sample   share of the answers that are recorded, 0 to 1 (default: 1)
  trace_content  false leaves prompts and answers out of the traces (default: true)
  redact         MODULE:FUNCTION that changes prompts and answers in traces
  experiment     experiment of the traces (default: NAME-serving)

predict reads a JSON file: a chat request ({"messages": [...], "max_tokens": 64}) or rows with a
prompt or messages ([{"prompt": "...", "max_tokens": 8}, ...]).
After a crash: llmops serve restart NAME. Logs: LLMOPS_HOME/deployments/NAME/.
"""
WORDS = {"true": True, "yes": True, "on": True, "1": True}
WORDS |= {"false": False, "no": False, "off": False, "0": False}


def read(given: Mapping[str, object]) -> dict[str, Any]:
    """Return options with values of their types.

    Args:
        given: Option → text, or a value that has the type already.

    Raises:
        UsageError: An option is unknown, or its text is no value of its type.
    """
    types = {field.name: str(field.type) for field in dataclasses.fields(Config)}
    for option in given:
        options.check_known(option)
    return {option: _read(option, value, types[option]) for option, value in given.items()}


def _read(option: str, value: object, kind: str) -> Any:
    """Return a value of a type, named as in the source of ``Config``."""
    first = kind.partition("|")[0].strip()
    if value is None and "None" in kind:
        return None
    if first.startswith("tuple"):
        return _several(option, value)
    if first == "bool":
        return value if isinstance(value, bool) else _bool(option, value)
    if first in ("int", "float"):
        return _number(option, value, whole=first == "int")
    if not isinstance(value, str):
        raise UsageError(f"-C {option}={value!r}: must be a text")
    return value


def _bool(option: str, value: object) -> bool:
    try:
        return WORDS[str(value).strip().lower()]
    except KeyError:
        raise UsageError(f"-C {option}={value}: must be true or false") from None


def _number(option: str, value: object, *, whole: bool) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(str(value)) if whole else float(str(value))
    except ValueError:
        kind = "an integer" if whole else "a number"
        hint = "; 0 picks a free one" if option == "port" else ""
        raise UsageError(f"-C {option}={value}: must be {kind}{hint}") from None


def _several(option: str, value: object) -> list[str]:
    """Return several texts: a list, a JSON list, words of a shell, or texts with commas between."""
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    text = str(value)
    try:
        if text.startswith("["):
            return [str(item) for item in json.loads(text)]
        return shlex.split(text) if option == "vllm_args" else [text]
    except ValueError as error:  # JSON, or a quote that is never closed
        raise UsageError(f"-C {option}={value}: cannot be read: {error}") from error
