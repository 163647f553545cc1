"""The MLflow store of this process: whether it answers, its errors in words, its pages."""

from __future__ import annotations

import contextlib
import logging
import os
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from llmops.errors import StoreError

REACH_SECONDS = 5.0
DEFAULT_UI = "http://127.0.0.1:5000"


def connect() -> str:
    """Checks that the tracking server answers, before MLflow retries for minutes.

    Returns:
        The tracking URI.

    Raises:
        StoreError: It does not answer within five seconds.
    """
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    for uri in dict.fromkeys((mlflow.get_tracking_uri(), mlflow.get_registry_uri())):
        if uri.startswith(("http://", "https://")):
            _reach(uri)
    return str(mlflow.get_tracking_uri())


def _reach(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS):
            pass
    except HTTPError:
        return  # it answers; whether it lets us in, the first request will say
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise StoreError(
            f"MLflow server {uri}: not reachable within {REACH_SECONDS:.0f} s ({reason})",
            next_command="start it (`mlflow server`), or set MLFLOW_TRACKING_URI (unset: sqlite:///mlflow.db here)",
        ) from error


@contextlib.contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turns what MLflow raises into a ``StoreError`` that says what was being done."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise StoreError(f"{doing}: MLflow refused: {error.message}") from error
    except requests.RequestException as error:
        raise StoreError(f"{doing}: the MLflow server does not answer: {error}") from error


def client() -> Any:
    """An MlflowClient of the current store."""
    import mlflow

    return mlflow.MlflowClient()


def use_experiment(name: str) -> str:
    """Makes runs go to the experiment the environment names, else to ``name``; returns its id."""
    import mlflow

    with store_errors(f"experiment {name}"):
        if os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return os.environ["MLFLOW_EXPERIMENT_ID"]
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
        experiment = mlflow.set_experiment(name)
        # MLflow exports its choice, which the next recipe of this process would take for the user's.
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
        return str(experiment.experiment_id)


def ui(path: str) -> str:
    """Address of a page of MLflow's own UI.

    Args:
        path: What follows ``#``, such as ``/models/bot``.
    """
    uri = str(client().tracking_uri)
    server = uri.rstrip("/") if uri.startswith(("http://", "https://")) else DEFAULT_UI
    return f"{server}/#{quote(path, safe='/?=&')}"


def ui_hint() -> str | None:
    """The command that shows the store in a browser, ``None`` if a server runs already."""
    uri = str(client().tracking_uri)
    if uri.startswith(("http://", "https://")):
        return None
    return f"mlflow server --backend-store-uri {uri}"
