"""The model registry: versions, aliases, tags and descriptions.

Every function raises ``StoreError`` when the store refuses or cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from llmops.errors import NotFoundError, StoreError, UsageError
from llmops.records.names import MODEL_NAME
from llmops.store.connection import client, store_errors
from llmops.store.missing import missing
from llmops.store.tags import BASE_DIGEST, EARLIER, KIND, NOTE
from llmops.store.upserts import upsert

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Error codes with which MLflow says that a model, version or alias does not exist."""


def parse(uri: str) -> tuple[str, str]:
    """Return the name and version of a URI; resolve its alias.

    Args:
        uri: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS`` or ``models:/NAME/latest``.

    Raises:
        UsageError: Another kind of URI.
        NotFoundError: No such model, version or alias.
    """
    rest = uri.removeprefix("models:/")
    if rest == uri or not rest.strip("/@"):
        name = uri if MODEL_NAME.fullmatch(uri) else "quickstart"
        raise UsageError(
            f"{uri!r}: expected models:/NAME/VERSION or models:/NAME@ALIAS, such as models:/{name}@champion"
        )
    if "@" in rest:
        name, _, alias = rest.partition("@")
        version = version_of_alias(name, alias)
        if version is None:
            raise missing(f"{uri}: no version has the alias {alias!r}", name)
        return name, version
    name, _, version = rest.partition("/")
    if not version:
        raise UsageError(
            f"{uri!r}: a version or an alias is missing, such as models:/{name}@champion"
        )
    return name, latest_version(name) if version == "latest" else version


def latest_version(name: str) -> str:
    """Return the highest version number, which is MLflow's ``models:/NAME/latest``.

    Raises:
        NotFoundError: No such model, or it has no version.
    """
    with store_errors(f"versions of {name}"):
        versions = client().search_model_versions(f"name = '{name}'")
    if not versions:
        raise missing(f"models:/{name}/latest: no such model", name)
    return max((str(version.version) for version in versions), key=int)


def version_of_alias(name: str, alias: str) -> str | None:
    """Return the version that an alias points to, ``None`` if model or alias does not exist.

    Raises:
        NotFoundError: The alias points to a version that was deleted.
    """
    from mlflow.exceptions import MlflowException

    try:
        return str(client().get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise StoreError(f"alias {name}@{alias}: {error.message}") from error
    gone = _target_of_alias(name, alias)
    if gone is None:
        return None
    raise NotFoundError(
        f"models:/{name}@{alias}: points to version {gone}, which was deleted",
        next_command="remove the alias: python -c 'import mlflow;"
        f' mlflow.MlflowClient().delete_registered_model_alias("{name}", "{alias}")\'',
    )


def _target_of_alias(name: str, alias: str) -> str | None:
    """Return the version number that the registered model notes for an alias."""
    model = model_record(name)
    version = None if model is None else model.aliases.get(alias)
    return None if version is None else str(version)


def model_record(name: str) -> Any | None:
    """Return MLflow's record of a registered model, ``None`` if there is none."""
    from mlflow.exceptions import MlflowException

    with store_errors(f"registered model {name}"):
        try:
            return client().get_registered_model(name)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise


def model_tag(name: str, key: str) -> str | None:
    """Return one tag of a registered model, ``None`` if model or tag does not exist."""
    model = model_record(name)
    value: str | None = None if model is None else model.tags.get(key)
    return value


def models() -> list[Any]:
    """Return MLflow's records of all registered models, by name."""
    found: list[Any] = []
    token = None
    with store_errors("searching for registered models"):
        while True:
            page = client().search_registered_models(order_by=["name"], page_token=token)
            found += page
            token = page.token
            if not token:
                return found


def versions(name: str) -> list[Any]:
    """Return MLflow's records of all versions of a model, in no order."""
    found: list[Any] = []
    token = None
    with store_errors(f"versions of {name}"):
        while True:
            page = client().search_model_versions(f"name = '{name}'", page_token=token)
            found += page
            token = page.token
            if not token:
                return found


def version_record(name: str, version: str) -> Any:
    """Return MLflow's record of a version.

    Raises:
        NotFoundError: No such version.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client().get_model_version(name, version)
    except MlflowException as error:
        if error.error_code in ABSENT:
            what = f"models:/{name}/{version}: no such version in {client().tracking_uri}"
            raise missing(what, name) from error
        raise StoreError(f"models:/{name}/{version}: {error.message}") from error


def version_exists(name: str, version: str) -> bool:
    """Return whether a registered model has a version."""
    try:
        version_record(name, version)
    except NotFoundError:
        return False
    return True


def tagged_bases(*, name: str | None = None, base_digest: str | None = None) -> list[Any]:
    """Return MLflow's records of the versions that are tagged as base models, the newest first.

    A tag only helps to find a base; ``models.versions.registered_base`` confirms it by its pin.

    Args:
        name: Only versions of this registered model.
        base_digest: Only versions with this tag ``llmops.base_digest``.
    """
    condition = f"tags.`{KIND}` = 'base'"
    if name is not None:
        condition += f" and name = '{name}'"
    if base_digest is not None:
        condition += f" and tags.`{BASE_DIGEST}` = '{base_digest}'"
    with store_errors("searching for base models"):
        versions = client().search_model_versions(condition)
    ready = [version for version in versions if version.status == "READY"]
    return sorted(ready, key=lambda version: int(version.version), reverse=True)


def version_of_run(name: str, run_id: str) -> str | None:
    """Return the version that a run registered, ``None`` if there is none.

    A resumed run asks for it, so that it does not register its model twice.
    """
    from mlflow.exceptions import MlflowException

    try:
        versions = client().search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    except MlflowException as error:
        raise StoreError(f"versions of {name}: {error.message}") from error
    return max((str(version.version) for version in versions), key=int, default=None)


def set_alias(name: str, alias: str, version: str) -> None:
    """Move an alias to a version."""
    with store_errors(f"alias {name}@{alias}"):
        upsert(partial(client().set_registered_model_alias, name, alias, version))


def annotate_version(name: str, version: str, tags: Mapping[str, str]) -> None:
    """Write tags of a version in the given order, which the model page keeps."""
    with store_errors(f"tags of models:/{name}/{version}"):
        for key, value in tags.items():
            upsert(partial(client().set_model_version_tag, name, version, key, value))


def remove_version_tags(name: str, version: str, keys: Sequence[str]) -> None:
    """Remove those of the tags that a version has, in the given order."""
    present = version_record(name, version).tags
    with store_errors(f"tags of models:/{name}/{version}"):
        for key in keys:
            if key in present:
                client().delete_model_version_tag(name, version, key)


def annotate_model(name: str, key: str, value: str) -> None:
    """Write a tag of the registered model itself, where it can be searched; remove its earlier name."""
    with store_errors(f"tag of {name}"):
        upsert(partial(client().set_registered_model_tag, name, key, value))
        if (earlier := EARLIER.get(key)) in client().get_registered_model(name).tags:
            client().delete_registered_model_tag(name, earlier)


def remove_model_tag(name: str, key: str) -> None:
    """Remove a tag of the registered model itself, which has it."""
    with store_errors(f"tag of {name}"):
        client().delete_registered_model_tag(name, key)


def versions_with_tag(name: str, key: str) -> list[str]:
    """Return the versions of a model that have a tag, whatever its value."""
    return [str(version.version) for version in versions(name) if key in version.tags]


def version_tag(name: str, version: str, key: str) -> str | None:
    """Return one tag of a version, ``None`` if it is not set."""
    value: str | None = version_record(name, version).tags.get(key)
    return value


def redescribe(name: str, version: str, model_id: str | None, change: Callable[[str], str]) -> None:
    """Change the descriptions of a version and of its logged model.

    Args:
        name: Registered model.
        version: Its version.
        model_id: The logged model; ``None`` leaves it unchanged.
        change: Returns the new description for the current one; called once for each.
    """
    with store_errors(f"description of models:/{name}/{version}"):
        if model_id is not None:
            note = client().get_logged_model(model_id).tags.get(NOTE, "")
            client().set_logged_model_tags(model_id, {NOTE: change(note)})
        current = client().get_model_version(name, version).description or ""
        client().update_model_version(name, version, description=change(current))
