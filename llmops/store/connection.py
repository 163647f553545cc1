"""The MLflow store of this process: a check that it answers, its errors, links to its pages."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from filelock import FileLock

from llmops.errors import StoreError, masked
from llmops.files import digest, home
from llmops.records.urls import without_credentials

REACH_SECONDS = 5.0
"""Seconds to wait for the first answer of a server."""
KNOWN_SCHEMES = ("databricks", "databricks-uc", "file", "mssql", "mysql", "postgresql", "uc")
"""Schemes besides http and sqlite that MLflow itself opens, some with ``+DRIVER`` behind them."""
DEFAULT_UI = "http://127.0.0.1:5000"


def connect(*, create: bool = True) -> str:
    """Check that the tracking server answers, before MLflow retries for minutes.

    Args:
        create: Whether a local database that does not exist is created.

    Returns:
        The tracking URI.

    Raises:
        StoreError: The URI has no valid form, the server does not answer within five seconds, the
            database cannot be opened, or it does not exist and is not to be created.
    """
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs tracebacks
    for uri in _uris():
        if uri.startswith(("http://", "https://")):
            _reach(uri)
        elif uri.partition(":")[0].partition("+")[0] == "sqlite":  # such as sqlite+pysqlite
            if not create:
                _refuse_absent(uri)
            _open_alone(uri)
        elif "://" in uri and uri.partition("://")[0].partition("+")[0] not in KNOWN_SCHEMES:
            with store_errors(f"opening {uri}"):  # a plugin of MLflow may know it
                mlflow.MlflowClient(uri, uri).search_experiments(max_results=1)
    return str(mlflow.get_tracking_uri())


def _uris() -> list[str]:
    """Return the URIs of tracking store and registry, once if they are the same."""
    import mlflow

    try:
        uris = (str(mlflow.get_tracking_uri()), str(mlflow.get_registry_uri()))
        for uri in uris:
            urlsplit(uri)
    except ValueError as error:  # such as http://[::1
        raise StoreError(
            f"the MLflow store's URI is invalid: {error}",
            next_command="set MLFLOW_TRACKING_URI, such as to sqlite:///mlflow.db",
        ) from error
    return list(dict.fromkeys(uris))


def _refuse_absent(uri: str) -> None:
    """Refuse a database that does not exist: MLflow would create it, in whatever folder one reads."""
    place = uri.partition(":///")[2].partition("?")[0].removeprefix("file:")
    if place not in ("", ":memory:") and not (path := Path.cwd() / place).exists():
        raise StoreError(
            f"{uri}: no such store; there is no {path}",
            next_command="change to the folder with mlflow.db, or set MLFLOW_TRACKING_URI",
        )


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

    try:
        yield
    except MlflowException as error:
        reason = str(error.message).split("\n[SQL:")[0]
        raise StoreError(f"{doing}: MLflow refused: {reason}") from error
    except _database_errors() as error:
        reason = str(error).split("\n[SQL:")[0]
        raise StoreError(f"{doing}: the store's database failed: {reason}") from error
    except requests.RequestException as error:  # an OSError too
        raise StoreError(f"{doing}: the MLflow server does not answer: {error}") from error
    except OSError as error:
        raise StoreError(
            f"{doing}: cannot read or write a file of the MLflow store: {error}",
            next_command="free disk space or fix permissions, then rerun",
        ) from error


def _database_errors() -> tuple[type[Exception], ...]:
    """Return what MLflow's database raises; nothing beside ``mlflow-skinny``, which has none."""
    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return ()
    return (SQLAlchemyError,)


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
    """Return the address of a page of MLflow's UI, without credentials.

    Args:
        path: The part after ``#``, such as ``/models/bot``.
    """
    import mlflow

    uri = str(mlflow.get_tracking_uri())
    server = DEFAULT_UI
    if uri.startswith(("http://", "https://")):
        server = without_credentials(uri).rstrip("/")
    return f"{server}/#{quote(path, safe='/?=&')}"


def ui_hint() -> str | None:
    """Return the command that shows the store in a browser, ``None`` if the store is a server.

    A password in the store's URI is masked.
    """
    import mlflow

    uri = str(mlflow.get_tracking_uri())
    if uri.startswith(("http://", "https://")):
        return None
    return f"mlflow server --backend-store-uri {masked(uri)}"
