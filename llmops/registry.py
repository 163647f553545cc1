"""The registry as the loop sees it: versions, aliases, tags, links.

The only module that calls ``MlflowClient`` for these. Everything raises ``StoreError`` when
the store refuses or cannot be reached.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from llmops import pin as pins
from llmops.errors import NotFoundError, StoreError, UsageError
from llmops.pin import Pin
from llmops.records import ModelVersion

REACH_SECONDS = 5.0
DEFAULT_UI = "http://127.0.0.1:5000"

KIND = "llmops.kind"
BASE_DIGEST = "llmops.base_digest"
ADAPTER_DIGEST = "llmops.adapter_digest"
SERVABLE = "llmops.servable_vllm"
RECIPE_DIGEST = "llmops.recipe_digest"
DATA_DIGEST = "llmops.data_digest"
VERDICT = "llmops.verdict"
NOTE = "mlflow.note.content"


def connect() -> str:
    """Checks that the tracking server answers, before MLflow retries for minutes.

    Returns:
        The tracking URI.

    Raises:
        StoreError: It does not answer within five seconds.
    """
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # ours say what matters
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


def parse(uri: str) -> tuple[str, str]:
    """Name and version of ``models:/name/version`` or ``models:/name@alias``, alias resolved.

    Raises:
        UsageError: Not such a URI.
        NotFoundError: No such model, version or alias.
    """
    rest = uri.removeprefix("models:/")
    if rest == uri or not rest.strip("/@"):
        raise UsageError(
            f"{uri!r}: expected models:/NAME/VERSION or models:/NAME@ALIAS, such as models:/quickstart@champion"
        )
    if "@" in rest:
        name, _, alias = rest.partition("@")
        version = version_of_alias(name, alias)
        if version is None:
            raise NotFoundError(
                f"{uri}: no version has the alias {alias!r}",
                next_command=f"name a version, such as models:/{name}/1; `llmops run` makes a @champion",
            )
        return name, version
    name, _, version = rest.partition("/")
    if not version:
        raise UsageError(
            f"{uri!r}: a version or an alias is missing, such as models:/{name}@champion"
        )
    return name, version


def version_of_alias(name: str, alias: str) -> str | None:
    """Version that an alias points to, ``None`` if the model or the alias does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client().get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise StoreError(f"alias {name}@{alias}: {error.message}") from error


def get_version(name: str, version: str) -> ModelVersion:
    """A registered version of ours.

    Raises:
        NotFoundError: No such version.
        UsageError: It was not logged by ``llmops.flavor``.
        IntegrityError: Its pin is damaged.
    """
    return pinned_version(name, version)[0]


def pinned_version(name: str, version: str) -> tuple[ModelVersion, Pin]:
    """A registered version with its pin; see ``get_version``."""
    found = _version(name, version)
    pin = read_pin(f"models:/{name}/{version}")
    return ModelVersion(
        name=name,
        version=str(found.version),
        model_id=_model_id(found),
        run_id=found.run_id or None,
        adapter_digest=pin.adapter_digest,
        base_digest=pin.digest,
    ), pin


def read_pin(uri: str) -> Pin:
    """The pin that lies beside a logged model.

    The file, not a tag, is the truth: it travels with a copy to another registry.

    Raises:
        UsageError: The model was not logged by ``llmops.flavor``.
        IntegrityError: The pin is damaged.
    """
    with store_errors(f"reading {uri}"), tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        repository = _repository(uri)
        listed = {file.path for file in repository.list_artifacts(None)}
        if pins.FILE not in listed:
            raise UsageError(
                f"{uri} is not a version that llmops logged",
                next_command="log the model with `llmops.log_model`, or name a version that `llmops run` registered",
            )
        file, mlmodel = (
            Path(repository.download_artifacts(name, folder)) for name in (pins.FILE, "MLmodel")
        )
        return pins.confirmed(file, mlmodel, uri)


def _model_id(version: Any) -> str | None:
    """The logged model behind a version, also if the version is a copy of another."""
    source = str(version.source)
    while source.startswith("models:/") and not source.startswith("models:/m-"):
        name, number = parse(source)
        source = str(_version(name, number).source)
    return source.removeprefix("models:/") if source.startswith("models:/m-") else None


def _version(name: str, version: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client().get_model_version(name, version)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise NotFoundError(
                f"models:/{name}/{version}: no such version in {client().tracking_uri}",
                next_command="llmops doctor",
            ) from error
        raise StoreError(f"models:/{name}/{version}: {error.message}") from error


def find_base(*, name: str | None = None, base_digest: str | None = None) -> Any | None:
    """Newest registered base model with this name or this digest, ``None`` if there is none."""
    condition = f"tags.`{KIND}` = 'base'"
    if name is not None:
        condition += f" and name = '{name}'"
    if base_digest is not None:
        condition += f" and tags.`{BASE_DIGEST}` = '{base_digest}'"
    with store_errors("looking for the base model"):
        found = client().search_model_versions(condition)
    ready = [version for version in found if version.status == "READY"]
    return max(ready, key=lambda version: int(version.version), default=None)


def is_base(name: str, version: str) -> bool:
    """Whether a version is a base model."""
    return str(_version(name, version).tags.get(KIND)) == "base"


def list_bases() -> list[Any]:
    """All registered base models."""
    with store_errors("listing base models"):
        return list(client().search_model_versions(f"tags.`{KIND}` = 'base'"))


def version_of_run(name: str, run_id: str) -> str | None:
    """Version of a model that a run registered, so that a resumed run does not register twice."""
    from mlflow.exceptions import MlflowException

    try:
        found = client().search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    except MlflowException as error:
        raise StoreError(f"versions of {name}: {error.message}") from error
    return max((str(version.version) for version in found), key=int, default=None)


@contextlib.contextmanager
def resumed_run(run_id: str) -> Iterator[None]:
    """Makes a finished run the active one, so that a model is logged as its output."""
    import mlflow

    with store_errors(f"run {run_id}"):
        mlflow.start_run(run_id=run_id)
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    finally:
        mlflow.end_run(status)


def rename_run(run_id: str, name: str) -> None:
    """Gives a run the name that the UI shows."""
    with store_errors(f"run {run_id}"):
        client().update_run(run_id, name=name)


def download(uri: str, target: str) -> str:
    """Downloads a model's files; returns the local directory."""
    import mlflow

    with store_errors(f"downloading {uri}"):
        return str(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=target))


def set_alias(name: str, alias: str, version: str) -> None:
    """Moves an alias to a version."""
    with store_errors(f"alias {name}@{alias}"):
        client().set_registered_model_alias(name, alias, version)


def annotate_version(name: str, version: str, tags: Mapping[str, str]) -> None:
    """Writes tags, in the given order, which the model page keeps."""
    with store_errors(f"tags of models:/{name}/{version}"):
        for key, value in tags.items():
            client().set_model_version_tag(name, version, key, value)


def annotate_model(name: str, key: str, value: str) -> None:
    """Writes a tag on the registered model itself, where it can be searched."""
    with store_errors(f"tag of {name}"):
        client().set_registered_model_tag(name, key, value)


def version_tag(name: str, version: str, key: str) -> str | None:
    """One tag of a version, ``None`` if it is not set."""
    value: str | None = _version(name, version).tags.get(key)
    return value


def run_with_tag(key: str, pattern: str) -> str | None:
    """Newest run of any experiment whose tag matches a ``LIKE`` pattern."""
    with store_errors(f"looking for a run with {key}"):
        experiments = [experiment.experiment_id for experiment in client().search_experiments()]
        found = client().search_runs(experiments, f"tags.`{key}` LIKE '{pattern}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def read_json(run_id: str, path: str) -> dict[str, Any]:
    """A JSON artifact of a run."""
    import mlflow

    with store_errors(f"reading {path} of run {run_id}"):
        return dict(mlflow.artifacts.load_dict(f"runs:/{run_id}/{path}"))


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


def delete_unfinished(model_id: str, store: str) -> bool:
    """Removes a logged model whose files never became whole.

    Args:
        model_id: The logged model.
        store: Tracking URI of the store it was begun in.

    Returns:
        Whether there was one to remove; a whole one stays.
    """
    import mlflow
    from mlflow.entities import LoggedModelStatus
    from mlflow.exceptions import MlflowException

    own = mlflow.MlflowClient(tracking_uri=store)
    with store_errors(f"removing logged model {model_id} of {store}"):
        try:
            found = own.get_logged_model(model_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        if found.status == LoggedModelStatus.READY:
            return False
        own.delete_logged_model(model_id)
    return True


def version_and_model(name: str, version: str) -> tuple[Any, Any | None]:
    """MLflow's own records of a version and of its logged model, ``None`` if that is gone.

    Raises:
        NotFoundError: No such version.
    """
    found = _version(name, version)
    try:
        model_id = _model_id(found)
    except NotFoundError:  # a copy whose original was deleted
        model_id = None
    return found, None if model_id is None else find_logged_model(model_id)


def find_logged_model(model_id: str) -> Any | None:
    """A logged model, ``None`` if this store has none of this id."""
    return _existing(f"logged model {model_id}", lambda: client().get_logged_model(model_id))


def find_run(run_id: str) -> Any | None:
    """A run, ``None`` if this store has none of this id."""
    return _existing(f"run {run_id}", lambda: client().get_run(run_id))


def _existing(what: str, read: Callable[[], Any]) -> Any | None:
    from mlflow.exceptions import MlflowException

    with store_errors(what):
        try:
            return read()
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def list_files(uri: str, *folders: str) -> dict[str, int | None]:
    """Path → bytes of a model's files, and of those in some of its folders."""
    with store_errors(f"listing {uri}"):
        repository = _repository(uri)
        listed = list(repository.list_artifacts(None))
        for folder in folders:
            if any(entry.is_dir and entry.path == folder for entry in listed):
                listed += repository.list_artifacts(folder)
    return {entry.path: entry.file_size for entry in listed if not entry.is_dir}


def run_has_file(run_id: str, name: str) -> bool:
    """Whether a run has an artifact of this name, not in a folder."""
    with store_errors(f"listing run {run_id}"):
        return any(entry.path == name for entry in client().list_artifacts(run_id))


def read_text(uri: str, path: str) -> str:
    """A small file of a model."""
    with (
        store_errors(f"reading {path} of {uri}"),
        tempfile.TemporaryDirectory(prefix="llmops-") as folder,
    ):
        file = _repository(uri).download_artifacts(path, folder)
        return Path(file).read_text(encoding="utf-8", errors="replace")


def _repository(uri: str) -> Any:
    """The files of a model. MLflow takes ``models:/m-ID/PATH`` for a registered model's name."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri)


def redescribe(name: str, version: str, model_id: str | None, change: Callable[[str], str]) -> None:
    """Changes the description of a version and of its logged model, each from what it was."""
    with store_errors(f"description of models:/{name}/{version}"):
        if model_id is not None:
            note = client().get_logged_model(model_id).tags.get(NOTE, "")
            client().set_logged_model_tags(model_id, {NOTE: change(note)})
        found = client().get_model_version(name, version)
        client().update_model_version(name, version, description=change(found.description or ""))
