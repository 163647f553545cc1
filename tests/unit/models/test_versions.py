from __future__ import annotations

import mlflow
import pytest

from llmops.errors import NotFoundError, UsageError
from llmops.models import versions
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection


def test_a_version_is_what_its_files_say(version: ModelVersion, base: BaseModel) -> None:
    found, pin = versions.pinned_version("bot", "1")
    assert found == versions.get_version("bot", "1") == version
    assert (found.base_digest, found.adapter_digest) == (base.digest, pin.adapter_digest)
    assert found.run_id is not None
    assert pin.base == "tiny"


def test_a_copy_in_another_model_is_the_same_bytes(version: ModelVersion) -> None:
    connection.client().copy_model_version(version.uri, "prod")
    copy = versions.get_version("prod", "1")
    assert (copy.name, copy.digest, copy.model_id) == ("prod", version.digest, version.model_id)


def test_no_such_version_and_one_of_another_flavor(version: ModelVersion, tmp_path: object) -> None:
    with pytest.raises(NotFoundError, match="models:/bot/2: no such version"):
        versions.get_version("bot", "2")
    with mlflow.start_run() as run:
        mlflow.log_text("x", "other/MLmodel")
    source = f"{run.info.artifact_uri}/other"
    connection.client().create_registered_model("foreign")
    connection.client().create_model_version("foreign", source, run_id=run.info.run_id)
    with pytest.raises(UsageError, match="models:/foreign/1 is not a version that llmops logged"):
        versions.get_version("foreign", "1")
