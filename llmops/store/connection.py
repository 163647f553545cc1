"""The MLflow store of this process: a check that it answers, its errors, links to its pages."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock

from llmops.errors import StoreError
from llmops.files import digest, home

REACH_SECONDS = 5.0
"""Seconds to wait for the first answer of a server."""
DEFAULT_UI = "http://127.0.0.1:5000"


def connect() -> str:
    """Check that the tracking server answers, before MLflow retries for minutes.

    Returns:
        The tracking URI.

    Raises:
        StoreError: The server does not answer within five seconds, or the database cannot be
            opened.
    """
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs tracebacks
    for uri in dict.fromkeys((mlflow.get_tracking_uri(), mlflow.get_registry_uri())):
        if uri.startswith(("http://", "https://")):
            _reach(uri)
        elif uri.startswith("sqlite:"):
            _open_alone(uri)
    return str(mlflow.get_tracking_uri())


def _open_alone(uri: str) -> None:
    """Open a local database once while no other llmops process does.

    MLflow 3.17 creates and migrates the tables at the first access without a lock: with two
    processes one fails, and three may leave the database half migrated for good.
    """
    import mlflow

    place = uri if os.path.isabs(uri.split("///")[-1]) else f"{Path.cwd()}:{uri}"
    lock = home.folder("locks") / f"store-{digest.of_bytes(place.encode())[:16]}"
    with store_errors(f"opening {uri}"), FileLock(lock):
        mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)


def _reach(uri: str) -> None:
    """Check that a server answers at all; authentication is left to the first real request."""
    import httpx

    # Use the environment's proxies, as MLflow's own requests do, and this machine's certificates,
    # which may include a company's own, rather than only those bundled with httpx.
    try:
        verify = ssl.create_default_context()
        httpx.get(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS, verify=verify)
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:
        raise StoreError(
            f"MLflow server {uri}: not reachable within {REACH_SECONDS:.0f} s ({error})",
            next_command="start it (`mlflow server`), or set MLFLOW_TRACKING_URI (default: sqlite:///mlflow.db)",
        ) from error


@contextlib.contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn what MLflow raises into a ``StoreError`` that says what was being done.

    Args:
        doing: The operation, such as ``opening sqlite:///mlflow.db``.

    Raises:
        StoreError: MLflow, its database, its server or a file of the store failed.
    """
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        reason = str(error.message).split("\n[SQL:")[0]
        raise StoreError(f"{doing}: MLflow refused: {reason}") from error
    except SQLAlchemyError as error:
        reason = str(error).split("\n[SQL:")[0]
        raise StoreError(f"{doing}: the store's database failed: {reason}") from error
    except requests.RequestException as error:  # an OSError too
        raise StoreError(f"{doing}: the MLflow server does not answer: {error}") from error
    except OSError as error:
        raise StoreError(
            f"{doing}: cannot read or write a file of the MLflow store: {error}",
            next_command="free disk space or fix permissions, then rerun",
        ) from error


def client() -> Any:
    """Return an ``MlflowClient`` of the current store."""
    import mlflow

    return mlflow.MlflowClient()


def use_experiment(name: str) -> str:
    """Select the experiment that the environment names, else ``name``; return its id."""
    import mlflow

    with store_errors(f"experiment {name}"):
        if os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return os.environ["MLFLOW_EXPERIMENT_ID"]
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
        experiment = mlflow.set_experiment(name)
        # MLflow exports its choice; the next recipe of this process would mistake it for the user's.
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
        return str(experiment.experiment_id)


def absolute(uri: str) -> str:
    """Return a store's URI that means the same in every working directory."""
    place = uri.removeprefix("sqlite:///")
    if place in (uri, "", ":memory:") or os.path.isabs(place):
        return uri
    return f"sqlite:///{Path(place).resolve()}"


def ui(path: str) -> str:
    """Return the address of a page of MLflow's UI.

    Args:
        path: The part after ``#``, such as ``/models/bot``.
    """
    uri = str(client().tracking_uri)
    server = uri.rstrip("/") if uri.startswith(("http://", "https://")) else DEFAULT_UI
    return f"{server}/#{quote(path, safe='/?=&')}"


def ui_hint() -> str | None:
    """Return the command that shows the store in a browser, ``None`` if the store is a server."""
    uri = str(client().tracking_uri)
    if uri.startswith(("http://", "https://")):
        return None
    return f"mlflow server --backend-store-uri {uri}"
