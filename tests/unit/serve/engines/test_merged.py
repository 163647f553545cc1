"""A version merged into its base, by a process of its own."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import torch
from served import served_base
from transformers import AutoModelForCausalLM

from llmops.errors import LlmopsError
from llmops.files import digest, home
from llmops.models import bases
from llmops.models.resolve import resolve
from llmops.records import ModelVersion
from llmops.records.serving import Served
from llmops.serve.engines.local import LOCAL_DTYPE, LocalProcess
from llmops.serve.engines.merged import merge
from llmops.serve.engines.protocol import EngineSettings


def test_a_version_is_merged_once_and_answers_as_before(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import PeftModel

    files = resolve(version.uri)
    merged = merge(files, "float32")
    assert merged.uri == files.uri
    assert merged.adapter_dir is merged.adapter_digest is merged.tokenizer_dir is None
    assert merged.base.directory == bases.cache_dir(merged.base.digest)
    assert merged.base.digest == digest.of_model(merged.base.directory) != files.base.digest
    ids = torch.arange(8)[None]
    plain = AutoModelForCausalLM.from_pretrained(files.base.directory)
    with torch.no_grad():
        expected = PeftModel.from_pretrained(plain, str(files.adapter_dir))(ids).logits
        found = AutoModelForCausalLM.from_pretrained(merged.base.directory)(ids).logits
    assert torch.allclose(found, expected, atol=1e-4)
    with monkeypatch.context() as offline:  # the second start needs no registry
        offline.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        assert merge(files, "float32") == merged
    shutil.rmtree(merged.base.directory)
    assert merge(files, "float32") == merged, "deleted from the cache, merged again"


def test_a_torch_worker_serves_a_merged_version(version: ModelVersion, tmp_path: Path) -> None:
    files = resolve(version.uri)
    settings = EngineSettings(folder=tmp_path, merged=True)
    with closing(LocalProcess(Served("bot@v1", files, None), settings)) as worker:
        assert worker.base_digest == merge(files, LOCAL_DTYPE).base.digest != files.base.digest
        answers = [said(worker, "bot@v1"), said(worker, worker.base_digest)]
    with closing(
        LocalProcess(Served("bot@v1", files, None), EngineSettings(folder=tmp_path))
    ) as beside:
        assert answers == [said(beside, "bot@v1")] * 2 != [said(beside, files.base.digest)] * 2


def said(worker: LocalProcess, model: str) -> str:
    asked = {"model": model, "prompt": "Split a pathname.", "max_tokens": 8}
    key = {"Authorization": f"Bearer {worker.key}"}
    reply = httpx.post(f"{worker.address}/v1/completions", json=asked, headers=key, timeout=60)
    return str(reply.json()["choices"][0]["text"])


def test_a_full_model_is_served_as_it_is(tiny_model: Path) -> None:
    files = served_base(tiny_model).files
    assert merge(files, "float32") is files


def test_a_version_that_cannot_be_merged_says_why(version: ModelVersion) -> None:
    files = replace(resolve(version.uri), uri="models:/bot/99")
    with pytest.raises(
        LlmopsError, match=r"models:/bot/99: cannot be merged: (?s:.*)no such version"
    ):
        merge(files, "float32")
    assert not list((home.folder("staging")).iterdir())
