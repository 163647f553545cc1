"""Arguments and results of MLflow's deployment plugin: text options, DataFrames, dictionaries.

Only the plugin imports this module, after MLflow itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click
from mlflow.exceptions import MlflowException

from llmops.engine.openai import tables
from llmops.errors import LlmopsError, NotFoundError, UsageError
from llmops.records import Deployment
from llmops.serve.deployment import client, process, state

if TYPE_CHECKING:
    import pandas as pd

FLAVOR = "llmops"
OPTIONS = ("host", "port", "engine", "cors")
HELP = """\
Target `llmops`: one background process on this machine, OpenAI protocol.

  mlflow deployments create -t llmops --name bot -m models:/bot@champion [-C KEY=VALUE ...]

Options of create and run-local:
  port    port to listen on (default: a free one, shown by `mlflow deployments get`)
  host    address to listen on (default: 127.0.0.1); any address that other machines can reach
          needs LLMOPS_API_KEY, which clients then send as `Authorization: Bearer KEY`
  engine  local (default): torch in the server's process
  cors    pages that may ask from a browser, such as https://chat.example.org, several with commas
          between (default: without a key, pages from this machine)

An alias is resolved when the deployment is created. predict reads a JSON file: a chat request
({"messages": [...], "max_tokens": 64}) or rows with a prompt or messages
([{"prompt": "...", "max_tokens": 8}, ...]).
State and log: LLMOPS_HOME/deployments/NAME/.
"""


def options(
    config: Mapping[str, object] | None, *, flavor: str | None = None, endpoint: str | None = None
) -> dict[str, Any]:
    """Return the keyword arguments of ``serve.create`` for ``-C KEY=VALUE`` options.

    Args:
        config: The ``-C`` options.
        flavor: MLflow's ``--flavor``; ``None`` or ``llmops``.
        endpoint: MLflow's ``--endpoint``, which is refused.

    Raises:
        UsageError: An option is unknown, the port is not an integer, or flavor or endpoint is not
            supported.
    """
    chosen: dict[str, Any] = dict(config or {})
    unknown = sorted(set(chosen) - set(OPTIONS))
    if unknown:
        raise UsageError(
            f"-C {unknown[0]}: unknown option; allowed: {', '.join(OPTIONS)}",
            next_command="mlflow deployments help -t llmops",
        )
    if flavor not in (None, FLAVOR):
        raise UsageError(f"--flavor {flavor}: not supported; allowed: {FLAVOR}")
    no_endpoint(endpoint)
    if "port" in chosen:
        chosen["port"] = _port(chosen["port"])
    if "cors" in chosen:
        chosen["cors"] = _texts(chosen["cors"])
    return chosen


def create(
    name: str,
    uri: str,
    flavor: str | None = None,
    config: Mapping[str, object] | None = None,
    endpoint: str | None = None,
) -> dict[str, object]:
    """Create a deployment from MLflow's arguments, in their order; return MLflow's dictionary.

    Raises:
        UsageError: See ``options`` and ``serve.create``.
        LlmopsError: See ``serve.create`` for the other errors.
    """
    chosen = options(config, flavor=flavor, endpoint=endpoint)
    return describe(process.create(name, uri, **chosen))


def no_endpoint(endpoint: str | None) -> None:
    """Refuse MLflow's endpoints, which group deployments.

    Raises:
        UsageError: An endpoint is given.
    """
    if endpoint is not None:
        raise UsageError(
            f"--endpoint {endpoint}: endpoints, which group deployments, are not supported",
            next_command=f"name the deployment: --name {endpoint}; in Python,"
            f" deployment_name={endpoint!r}",
        )


class DeploymentFailed(MlflowException, click.ClickException):  # type: ignore[misc]
    """An error that callers catch as MLflow's and its command line prints without a traceback."""

    def __init__(self, error: LlmopsError) -> None:
        super().__init__(str(error))
        self.error_code = _code(error)
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Raise our errors within the block, and those of the file system, as MLflow's.

    Raises:
        DeploymentFailed: An ``LlmopsError`` or an ``OSError`` was raised; it is the cause.
    """
    try:
        yield
    except LlmopsError as error:
        raise DeploymentFailed(error) from error
    except OSError as error:  # such as a full disk
        failed = LlmopsError(
            f"{error.filename or 'LLMOPS_HOME'}: cannot be read or written: {error.strerror or error}",
            next_command="free disk space, fix permissions, or set LLMOPS_HOME to another folder",
        )
        raise DeploymentFailed(failed) from error


def _code(error: LlmopsError) -> str:
    if isinstance(error, NotFoundError):
        return "RESOURCE_DOES_NOT_EXIST"
    return "INVALID_PARAMETER_VALUE" if isinstance(error, UsageError) else "INTERNAL_ERROR"


def describe(deployment: Deployment) -> dict[str, object]:
    """Return a deployment as the dictionary that MLflow prints."""
    shown: dict[str, object] = dataclasses.asdict(deployment)
    shown["log"] = str(deployment.log)
    return shown | {"flavor": FLAVOR, "status": state.status(deployment)}


def refuse_update(name: str, uri: str | None) -> NoReturn:
    """Refuse to update a deployment: it is replaced instead.

    Raises:
        UsageError: Always; names the commands that replace it.
        NotFoundError: No such deployment.
    """
    deployment = state.get(name)
    port = deployment.endpoint.rpartition(":")[2]
    raise UsageError(
        f"deployment {name}: cannot be updated, only replaced; it serves {deployment.uri}",
        next_command=f"mlflow deployments delete -t llmops --name {name} && mlflow deployments"
        f" create -t llmops --name {name} -m {uri or deployment.uri} -C port={port}",
    )


def predict(name: str | None, inputs: Any, endpoint: str | None = None) -> list[dict[str, Any]]:
    """Return a deployment's answers, one ``chat.completion`` for each conversation.

    Args:
        name: Name of the deployment.
        inputs: A chat request, or a DataFrame that holds a chat request (column ``messages``, one
            row per message), messages (columns ``role`` and ``content``), or chat requests (column
            ``messages`` or ``prompt``, and parameters).
        endpoint: MLflow's ``endpoint``, which is refused.

    Raises:
        UsageError: The name is missing, or the inputs have another form.
        NotFoundError: No such deployment.
        ServeError: The deployment refuses, or does not answer.
    """
    deployment = _named(name, endpoint)
    bodies = [tables.plain(inputs)] if isinstance(inputs, Mapping) else _bodies(inputs)
    if any(body.get("stream") for body in bodies):
        raise UsageError("stream: predict returns whole answers; omit it, or use predict_stream")
    return [client.chat(deployment, {"model": deployment.model} | body) for body in bodies]


def predict_stream(
    deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
) -> Iterator[dict[str, Any]]:
    """Return an iterator of the chunks of an answer, each a ``chat.completion.chunk``.

    Args:
        deployment_name: Name of the deployment.
        inputs: A chat request.
        endpoint: MLflow's ``endpoint``, which is refused.

    Raises:
        UsageError: The name is missing, or the inputs are not one chat request.
        NotFoundError: No such deployment.
        DeploymentFailed: While it is read: the deployment refuses, or does not answer.
    """
    deployment = _named(deployment_name, endpoint)
    if not isinstance(inputs, Mapping):
        raise UsageError(
            f"predict_stream: expected a chat request with `messages`, received {type(inputs).__name__}"
        )
    return _chunks(deployment, {"model": deployment.model} | tables.plain(inputs))


def _chunks(deployment: Deployment, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    with mlflow_errors():
        yield from client.chunks(deployment, body)


def _named(name: str | None, endpoint: str | None) -> Deployment:
    no_endpoint(endpoint)
    if name is None:
        raise UsageError(
            "predict: the name of the deployment is missing",
            next_command="give --name NAME; in Python, deployment_name=NAME",
        )
    return state.get(name)


def _bodies(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = set(getattr(frame, "columns", ()))
    if {"role", "content"} <= columns:
        rows = frame[["role", "content"]].to_dict(orient="records")
        return [{"messages": [{key: str(value) for key, value in row.items()} for row in rows]}]
    if "messages" in columns and all(isinstance(cell, Mapping) for cell in frame["messages"]):
        return [{"messages": tables.plain(frame["messages"]), **_shared(frame)}]
    if {"messages", "prompt"} & columns:
        return [_chat(row) for row in tables.rows(frame)]
    raise UsageError(
        f"predict: received {', '.join(map(str, sorted(columns))) or type(frame).__name__};"
        " expected a chat request with `messages`, or rows with `prompt`",
        next_command="mlflow deployments help -t llmops",
    )


def _chat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a chat request; MLflow's reader turns numeric prompts into numbers."""
    if "prompt" not in row or "messages" in row:
        return row
    prompt = {"role": "user", "content": str(row.pop("prompt"))}
    return {"messages": [prompt], **row}


def _shared(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the parameters of a chat request.

    MLflow's reader spreads a list over the rows and repeats every other value.
    """
    shared = {}
    for name in frame.columns.drop("messages") if len(frame) else ():
        values = [tables.cell(name, value) for value in frame[name]]
        shared[name] = values[0] if all(value == values[0] for value in values) else values
    return {name: value for name, value in shared.items() if not tables.is_empty(value)}


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


def _port(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise UsageError(f"-C port={value}: must be an integer; 0 picks a free port") from None
