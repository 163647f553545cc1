"""The MLflow store of this process: whether it answers, its errors in words, its pages."""

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
DEFAULT_UI = "http://127.0.0.1:5000"


def connect() -> str:
    """Checks that the tracking server answers, before MLflow retries for minutes.

    Returns:
        The tracking URI.

    Raises:
        StoreError: It does not answer within five seconds, or its database cannot be opened.
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
    """Opens a database of this machine once, with no other process of ours doing so.

    MLflow 3.17 makes and migrates the tables at the first access without a lock: of two processes
    one fails, and of three the database may be left half migrated for good.
    """
    import mlflow

    place = uri if os.path.isabs(uri.split("///")[-1]) else f"{Path.cwd()}:{uri}"
    lock = home.folder("locks") / f"store-{digest.of_bytes(place.encode())[:16]}"
    with store_errors(f"opening {uri}"), FileLock(lock):
        mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)


def _reach(uri: str) -> None:
    """Any answer will do: whether the server lets us in, the first request will say."""
    import httpx

    # The proxies of the environment, as for MLflow's own requests; certificates of this machine,
    # where a company's own lie, not only those that come with httpx.
    try:
        verify = ssl.create_default_context()
        httpx.get(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS, verify=verify)
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:
        raise StoreError(
            f"MLflow server {uri}: not reachable within {REACH_SECONDS:.0f} s ({error})",
            next_command="start it (`mlflow server`), or set MLFLOW_TRACKING_URI (unset: sqlite:///mlflow.db here)",
        ) from error


@contextlib.contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turns what MLflow raises into a ``StoreError`` that says what was being done."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        said = str(error.message).split("\n[SQL:")[0]
        raise StoreError(f"{doing}: MLflow refused: {said}") from error
    except SQLAlchemyError as error:
        said = str(error).split("\n[SQL:")[0]
        raise StoreError(f"{doing}: the store's database says: {said}") from error
    except requests.RequestException as error:  # an OSError too
        raise StoreError(f"{doing}: the MLflow server does not answer: {error}") from error
    except OSError as error:
        raise StoreError(
            f"{doing}: a file of the store, or one on its way there: {error}",
            next_command="make room there, or have the permission, then the same command again",
        ) from error


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
