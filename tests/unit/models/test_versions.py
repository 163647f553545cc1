from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from judged import judged
from trained import another_adapter
from versions import log_version

from llmops.cli.main import cli
from llmops.errors import IntegrityError, NotFoundError, UsageError
from llmops.flavor import load_model
from llmops.models import lineage, resolve, versions
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection, registry, tags


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


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ({tags.KIND: "base"}, "says that it is a base, but its pin has an adapter"),
        (
            {tags.BASE_DIGEST: "0" * 64},
            "the tag llmops.base_digest says 0000000000000000…, its pin",
        ),
        ({tags.KIND: "base", tags.BASE_DIGEST: ""}, "the tag llmops.kind says"),
    ],
)
def test_a_tag_never_outranks_the_pin(
    version: ModelVersion, tag: dict[str, str], says: str
) -> None:
    registry.annotate_version("bot", "1", tag)
    doors: tuple[Callable[[str], object], ...] = (
        lambda uri: versions.get_version("bot", uri.rpartition("/")[2]),
        resolve,
        lineage,
    )
    for door in doors:
        with pytest.raises(IntegrityError, match=says) as caught:
            door(version.uri)
    command = str(caught.value.next_command).partition(": ")[2]
    subprocess.run(shlex.split(command.replace("python", sys.executable, 1)), check=True)
    if len(tag) == 1:
        assert resolve(version.uri).digest == version.digest


def test_a_base_keeps_its_tags(base: BaseModel) -> None:
    record = registry.version_record("tiny", "1")
    versions.check_tags(record, versions.pinned_version("tiny", "1")[1])
    assert versions.is_base(record)
    assert record.tags[tags.BASE_DIGEST] == base.digest


def replaced(version: ModelVersion, folder: Path, tiny_model: Path) -> None:
    """Replaces the files of a version by those of another one, so that they agree."""
    with mlflow.start_run():
        other = log_version(another_adapter(tiny_model, folder), "tiny", "other")
    mine, others = (Path(mlflow.artifacts.download_artifacts(one.uri)) for one in (version, other))
    shutil.rmtree(mine)
    shutil.copytree(others, mine)


def test_evidence_about_other_bytes_is_said(
    version: ModelVersion, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged(version.uri)
    versions.warn_of_other_bytes(resolve(version.uri))
    versions.warn_of_other_bytes(resolve("tiny"))
    assert "other bytes" not in capsys.readouterr().err
    assert lineage(version.uri).evidence.other_bytes is False
    replaced(version, tmp_path, tiny_model)
    assert lineage(version.uri).evidence.other_bytes is True
    warning = "warning: models:/bot/1: its evidence (IMPROVED) is about other bytes than it has now"
    load_model(version.uri)
    shown = capsys.readouterr().err
    assert warning in shown
    assert "Next: llmops gate RECIPE --candidate models:/bot/1" in shown
    versions.warn_of_other_bytes(replace(resolve(version.uri), uri="runs:/x/y"))
    assert warning not in capsys.readouterr().err
    done = CliRunner().invoke(cli, ["show", version.uri])
    assert "ABOUT OTHER BYTES than the version has now" in " ".join(done.output.split())
    assert done.output.rstrip().endswith("Next: llmops gate RECIPE --candidate models:/bot/1")


def test_evidence_that_cannot_be_read_says_nothing_of_bytes(
    version: ModelVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison, _ = judged(version.uri)
    for content in ("[]", "{}", "x"):
        connection.client().log_text(comparison.run_id, content, tags.EVIDENCE_FILE)
        assert lineage(version.uri).evidence.other_bytes is None
        versions.warn_of_other_bytes(resolve(version.uri))
    assert "warning" not in capsys.readouterr().err
