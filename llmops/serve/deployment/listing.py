"""Deployments as callers see them: recorded state, checked against the live processes."""

from __future__ import annotations

import psutil

from llmops.records import Deployment
from llmops.serve.deployment import client, state
from llmops.serve.deployment.record.status import Started


def public(record: state.Record) -> Deployment:
    """Return a record as callers see it."""
    config, status = record.config, record.status
    return Deployment(
        name=config.name,
        model=status.model,
        uri=status.uri,
        endpoint=record.endpoint,
        pid=record.gateway.pid,
        created=record.gateway.created,
        log=state.folder(config.name) / state.LOG_FILE,
        source=config.uri,
        follow=config.follow,
        engine=status.engine or config.engine,
        proof=status.proof,
        certificate=config.tls_cert,
        doing=status.phase,
        note=status.error or status.note,
    )


def get(name: str) -> Deployment:
    """Return the recorded deployment of a name, running or not.

    Args:
        name: Name of the deployment.

    Raises:
        UsageError: The name is invalid.
        NotFoundError: No such deployment.
        ServeError: The state is damaged.

    Example:
        from llmops.serve import get

        print(get("bot").endpoint)
    """
    return public(state.get_record(name))


def list_all() -> list[Deployment]:
    """Return the deployments of this machine, sorted by name, stopped ones included.

    Returns:
        Every deployment whose record is readable; a damaged one is reported as a warning.

    Raises:
        ServeError: The state is damaged.

    Example:
        from llmops.serve import list_all, status

        for deployment in list_all():
            print(deployment.name, deployment.endpoint, status(deployment))
    """
    return [public(record) for record in state.records()]


def process_of(deployment: Deployment) -> psutil.Process | None:
    """Return the live gateway of a deployment; ``None`` if it ended, even if its PID is reused."""
    return Started(deployment.pid, deployment.created).alive()


def status(deployment: Deployment) -> str:
    """Return the status of a deployment: ``running``, ``degraded``, ``not ready`` or ``stopped``.

    Args:
        deployment: The deployment, from ``create``, ``get`` or ``list_all``.

    Returns:
        ``degraded`` means that it answers, but not as asked; its ``note`` says why. ``not ready``
        means that it is loading, finishing its last answers, or starting its engine again.

    Example:
        from llmops.serve import get, status

        print(status(get("bot")))
    """
    if process_of(deployment) is None:
        return "stopped"
    if not client.is_ready(deployment.endpoint, deployment.certificate):
        return "not ready"
    return "degraded" if deployment.note else "running"
