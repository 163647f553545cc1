"""The registry as the loop sees it: versions, aliases, tags, links.

The only module that calls ``MlflowClient`` for these. Everything raises ``StoreError`` when
the store refuses or cannot be reached.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from llmops.errors import NotFoundError, StoreError, UsageError
from llmops.records import ModelVersion

REACH_SECONDS = 5.0
DEFAULT_UI = "http://127.0.0.1:5000"

KIND = "llmops.kind"
BASE_DIGEST = "llmops.base_digest"
ADAPTER_DIGEST = "llmops.adapter_digest"
PIN = "base.json"
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
    """
    found = _version(name, version)
    uri = f"models:/{name}/{version}"
    pin = read_pin(uri)
    if "adapter_digest" not in pin:
        raise UsageError(
            f"{uri} is not a fine-tuned version that llmops logged",
            next_command="log the model with `llmops.log_model`, or name a version that `llmops run` registered",
        )
    return ModelVersion(
        name=name,
        version=str(found.version),
        model_id=found.source.removeprefix("models:/"),
        run_id=found.run_id or None,
        adapter_digest=pin["adapter_digest"],
        base_digest=pin["digest"],
    )


def read_pin(uri: str) -> dict[str, str]:
    """The ``base.json`` that lies beside a logged adapter; empty if there is none.

    The file, not a tag, is the truth: it travels with a copy to another registry.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        try:
            path = mlflow.artifacts.download_artifacts(f"{uri}/{PIN}", dst_path=folder)
        except (MlflowException, OSError):
            return {}
        return dict(json.loads(Path(path).read_text(encoding="utf-8")))


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


def base_digest_of(name: str, version: str) -> str | None:
    """Digest of a version that is a base model, ``None`` if it is not one."""
    tags: Mapping[str, str] = _version(name, version).tags
    return tags[BASE_DIGEST] if tags.get(KIND) == "base" else None


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


def annotate_version(name: str, version: str, *, tags: Mapping[str, str], description: str) -> None:
    """Writes tags (in the given order, which the model page keeps) and the description."""
    with store_errors(f"tags of models:/{name}/{version}"):
        for key, value in tags.items():
            client().set_model_version_tag(name, version, key, value)
        client().update_model_version(name, version, description=description)


def annotate_model(name: str, key: str, value: str) -> None:
    """Writes a tag on the registered model itself, where it can be searched."""
    with store_errors(f"tag of {name}"):
        client().set_registered_model_tag(name, key, value)


def annotate_logged_model(model_id: str, key: str, value: str) -> None:
    """Writes a tag on a logged model."""
    with store_errors(f"tag of {model_id}"):
        client().set_logged_model_tags(model_id, {key: value})


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
