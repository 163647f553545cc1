"""Names of versions: one stands for the same bytes for as long as the worker runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sides import trained

from llmops.engine.local.continuous import ContinuousBatch
from llmops.engine.local.engine import LocalEngine
from llmops.errors import IntegrityError, UsageError
from llmops.files import digest
from llmops.models.resolve import of_base
from llmops.records import ModelFiles
from llmops.serve.worker.versions import Versions, changes_base


@pytest.fixture(scope="module")
def batch(files: ModelFiles) -> Iterator[ContinuousBatch]:
    with closing(ContinuousBatch(LocalEngine([files, of_base(files.base)]))) as batch:
        yield batch


@pytest.fixture
def versions(batch: ContinuousBatch, files: ModelFiles) -> Versions:
    return Versions(batch, "bot@v3", files)


def other_version(files: ModelFiles, folder: Path, **settings: object) -> ModelFiles:
    trained(files.base.directory, seed=7, **settings).save_pretrained(folder)
    return replace(files, adapter_dir=folder, adapter_digest=digest.of_model(folder))


def test_the_same_bytes_may_come_back_and_others_may_not_take_their_name(
    versions: Versions, files: ModelFiles, tmp_path: Path
) -> None:
    other = other_version(files, tmp_path / "a")
    for _ in range(2):
        versions.load("bot@v4", other)
        versions.load("bot@v4", other)
        assert [*versions.names] == ["bot@v3", files.base.digest, "bot@v4"]
        versions.unload("bot@v4")
    for name in ("bot@v3", "bot@v4"):
        with pytest.raises(UsageError, match="already stands for other bytes"):
            versions.load(name, files if name == "bot@v4" else other)
    assert [*versions.names] == ["bot@v3", files.base.digest]


def test_damaged_bytes_and_another_base_are_refused(
    versions: Versions, files: ModelFiles, tmp_path: Path
) -> None:
    other = other_version(files, tmp_path / "a")
    with pytest.raises(IntegrityError, match="the bytes differ"):
        versions.load("bot@v5", replace(other, adapter_digest="1" * 64))
    with pytest.raises(UsageError, match="another base needs another process"):
        versions.load("bot@v5", replace(other, base=replace(files.base, digest="2" * 64)))
    versions.load("bot@v5", other)  # a refusal does not take the name
    versions.unload("bot@v5")


def test_the_base_cannot_be_unloaded_nor_a_version_that_is_not_there(
    versions: Versions, files: ModelFiles
) -> None:
    for name in (files.base.digest, "bot@v9"):
        with pytest.raises(UsageError, match="not loaded; loaded: bot@v3"):
            versions.unload(name)


def test_an_adapter_that_changes_its_base_answers_without_it(
    batch: ContinuousBatch, files: ModelFiles, tmp_path: Path
) -> None:
    biased = other_version(files, tmp_path / "bias", bias="all")
    assert changes_base(biased)
    assert not changes_base(files)
    assert not changes_base(of_base(files.base))
    assert [*Versions(batch, "bot@v6", biased).names] == ["bot@v6"]
