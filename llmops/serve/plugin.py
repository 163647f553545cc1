"""Arguments and results of MLflow's deployment plugin: text options, DataFrames, dictionaries.

Only the plugin imports this module, after MLflow itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from mlflow.exceptions import MlflowException

from llmops.engine.openai import tables
from llmops.errors import LlmopsError, NotFoundError, UsageError
from llmops.records import Deployment
from llmops.serve import bodies
from llmops.serve.deployment import address, client, listing, process, state, texts
from llmops.serve.deployment import update as swap
from llmops.serve.deployment.config import Config

FLAVOR = "llmops"


def chosen(
    config: Mapping[str, object] | None, *, flavor: str | None = None, endpoint: str | None = None
) -> dict[str, Any]:
    """Return the keyword arguments of ``serve.create`` for ``-C KEY=VALUE`` options.

    Args:
        config: The ``-C`` options.
        flavor: MLflow's ``--flavor``; ``None`` or ``llmops``.
        endpoint: MLflow's ``--endpoint``, which is refused.

    Raises:
        UsageError: An option is unknown or has a value of another type, or flavor or endpoint is not
            supported.
    """
    if flavor not in (None, FLAVOR):
        raise UsageError(f"--flavor {flavor}: not supported; allowed: {FLAVOR}")
    no_endpoint(endpoint)
    return texts.read(config or {})


def create(
    name: str,
    model_uri: str,
    flavor: str | None = None,
    config: Mapping[str, object] | None = None,
    endpoint: str | None = None,
) -> dict[str, object]:
    """Create a deployment from MLflow's arguments, in their order; return MLflow's dictionary.

    Raises:
        UsageError: See ``chosen`` and ``serve.create``.
        LlmopsError: See ``serve.create`` for the other errors.
    """
    return describe(
        process.create(name, model_uri, **chosen(config, flavor=flavor, endpoint=endpoint))
    )


def update(
    name: str,
    model_uri: str | None = None,
    flavor: str | None = None,
    config: Mapping[str, object] | None = None,
    endpoint: str | None = None,
) -> dict[str, object]:
    """Update a deployment from MLflow's arguments, in their order; return MLflow's dictionary.

    Raises:
        UsageError: See ``chosen`` and ``serve.update``; or another option than ``follow``.
        LlmopsError: See ``serve.update`` for the other errors.
    """
    given = chosen(config, flavor=flavor, endpoint=endpoint)
    follow = given.pop("follow", None)
    for option in given:
        raise UsageError(
            f"-C {option}: is chosen by `create`; `update` only has `follow`",
            next_command=f"mlflow deployments delete -t llmops --name {name}, then create it again",
        )
    return describe(swap.update(name, model_uri, follow=follow))


def delete(
    name: str, config: Mapping[str, object] | None = None, endpoint: str | None = None
) -> None:
    """Delete a deployment from MLflow's arguments, in their order.

    Raises:
        UsageError: An option or an endpoint is given.
        LlmopsError: See ``serve.delete``.
    """
    no_endpoint(endpoint)
    for option in config or {}:
        raise UsageError(f"-C {option}: `delete` has no options")
    process.delete(name)


def list_all(endpoint: str | None = None) -> list[dict[str, object]]:
    """Return MLflow's dictionary for each deployment, stopped ones included.

    Raises:
        UsageError: An endpoint is given.
        ServeError: The state is damaged.
    """
    no_endpoint(endpoint)
    return [describe(deployment) for deployment in listing.list_all()]


def get(name: str, endpoint: str | None = None) -> dict[str, object]:
    """Return MLflow's dictionary for a deployment.

    Raises:
        UsageError: An endpoint is given.
        LlmopsError: See ``serve.get``.
    """
    no_endpoint(endpoint)
    return describe(listing.get(name))


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
    """Return a deployment as the dictionary that MLflow prints: facts, and what was chosen."""
    proof = deployment.proof
    evidence = (
        f"{proof.verdict}, evidence {proof.digest[:12]}, run {proof.run_id}" if proof else None
    )
    facts: dict[str, object] = dataclasses.asdict(deployment) | {
        "flavor": FLAVOR,
        "status": listing.status(deployment),
        "log": str(deployment.log),
        "proof": evidence or "none: served without proof",
    }
    for name in ("doing", "certificate"):  # mostly empty
        if not facts[name]:
            del facts[name]
    return facts | _chosen(state.get_record(deployment.name).config, facts)


def _chosen(config: Config, facts: Collection[str]) -> dict[str, object]:
    """Return the settings that differ from their defaults, as `-C` takes them; never a hash."""
    chosen: dict[str, object] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in facts and field.default not in (value, dataclasses.MISSING):
            chosen[field.name] = list(value) if isinstance(value, tuple) else value
    if config.host != address.LOOPBACK:
        chosen["host"] = config.host
    if chosen.pop("key_hash", None):
        chosen["key"] = "from LLMOPS_API_KEY"
    return chosen


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
    requests = [tables.plain(inputs)] if isinstance(inputs, Mapping) else bodies.of(inputs)
    if any(body.get("stream") for body in requests):
        raise UsageError("stream: predict returns whole answers; omit it, or use predict_stream")
    return [client.chat(deployment, {"model": deployment.name} | body) for body in requests]


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
    return _chunks(deployment, {"model": deployment.name} | tables.plain(inputs))


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
    return listing.get(name)
