"""Which names somebody's own vLLM may serve; `tests/vllm` asks a real one."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

import mlflow
import pytest
from versions import log_version

from llmops.models import adapters
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelVersion
from llmops.serve.engines import resolver


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(resolver.MODELS, "bot, whole")


def found(base: BaseModel, name: str) -> Path | None:
    return asyncio.run(resolver.adapter_of(str(base.directory), name))


def test_a_version_is_found_verified_in_the_cache(version: ModelVersion, base: BaseModel) -> None:
    folder = found(base, "bot@v1")
    assert folder is not None
    assert folder.parent.name == version.adapter_digest
    assert folder == resolve(version.uri).adapter_dir
    weights = folder / adapters.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert found(base, "bot@v1") == folder
    assert adapters.content_digest(folder.parent) == version.adapter_digest, "downloaded again"


@pytest.mark.parametrize(
    "name",
    ["bot@champion", "bot@v0", "bot@v01", "bot", "bot/1", "models:/bot/1", "../x@v1", "x@v1"],
)
def test_other_names_are_refused_before_the_registry_is_asked(
    base: BaseModel, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_fetch", None)
    assert found(base, name) is None


def test_nothing_is_served_unless_models_are_named(
    version: ModelVersion, base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("", " , "):
        monkeypatch.setenv(resolver.MODELS, value)
        assert found(base, "bot@v1") is None
    monkeypatch.delenv(resolver.MODELS)
    assert found(base, "bot@v1") is None


def test_what_cannot_be_served_is_logged_with_the_reason(
    version: ModelVersion,
    base: BaseModel,
    tiny_adapter: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = Path(shutil.copytree(base.directory, tmp_path / "other"))
    (other / "config.json").write_text((other / "config.json").read_text() + " ")
    with mlflow.start_run():
        log_version(base.directory, None, "whole")
    with caplog.at_level(logging.WARNING, "vllm.llmops"):
        assert asyncio.run(resolver.adapter_of(str(other), "bot@v1")) is None
        assert asyncio.run(resolver.adapter_of("OWNER/NAME", "bot@v1")) is None
        assert found(base, "bot@v9") is None
        assert found(base, "whole@v1") is None
    reasons = [record.getMessage() for record in caplog.records]
    for expected in (
        "bot@v1 is not served: its base is tiny, and vLLM serves another",
        "bot@v1 is not served: vLLM serves OWNER/NAME, which is no directory",
        "bot@v9 is not served: models:/bot/9: no such version",
        "whole@v1 is not served: it is a full model, not an adapter",
    ):
        assert any(reason.startswith(expected) for reason in reasons), reasons


def test_it_is_off_unless_it_is_switched_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(resolver.ENABLED, raising=False)
    assert not resolver.enabled()
    monkeypatch.setenv(resolver.ENABLED, "0")
    assert not resolver.enabled()
    monkeypatch.setenv(resolver.ENABLED, "1")
    monkeypatch.delenv(resolver.MODELS)
    with caplog.at_level(logging.WARNING, "vllm.llmops"):
        assert resolver.enabled()
    assert "LLMOPS_VLLM_MODELS names no registered model" in caplog.text
