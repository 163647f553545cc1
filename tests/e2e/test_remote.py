"""Two machines and one `mlflow server`: what one logs, the other loads, and copies outlive sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import torch
from servers import mlflow_server
from versions import log_version

from llmops import flavor
from llmops.errors import NotFoundError
from llmops.models import versions
from llmops.models.resolve import resolve
from llmops.store import connection

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ELSEWHERE = """
import json, sys, torch
from llmops import flavor
uri, out = sys.argv[1:]
model = flavor.load_model(uri)
with torch.no_grad():
    torch.save(model.engine.model(torch.tensor([[5, 6, 7, 8, 9]])).logits, out)
print(json.dumps([model.files.adapter_digest, model.files.base.uri]))
"""


@pytest.fixture
def remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server that keeps the artifacts; this machine has its address and nothing of its disk."""
    folder = tmp_path_factory.mktemp("server")
    before = mlflow.get_tracking_uri()
    with mlflow_server(folder, "--artifacts-destination", str(folder / "artifacts")) as url:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        mlflow.set_tracking_uri(url)
        mlflow.set_experiment("tests")
        monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")  # set_experiment exports it
        yield url
        mlflow.set_tracking_uri(before)


def loaded_elsewhere(uri: str, folder: Path) -> tuple[torch.Tensor, str, str]:
    """Logits, adapter digest and base of a version, in a new process that has no file of it."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE, uri, str(folder / "logits.pt")],
        cwd=folder,
        env={**os.environ, "LLMOPS_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    digest, base = json.loads(done.stdout)
    return torch.load(folder / "logits.pt"), digest, base


def test_versions_and_their_copies_load_on_another_machine(
    remote: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    plain = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_model), tiny_adapter
    )
    with torch.no_grad():
        expected = plain.eval()(torch.tensor([[5, 6, 7, 8, 9]])).logits
    base = flavor.add_base(tiny_model, "tiny")
    with mlflow.start_run():
        version = log_version(tiny_adapter, base, "bot", alias="champion")
    shutil.rmtree(tmp_path / "home")
    assert not list(tmp_path.rglob("*.safetensors")), "the server has them, this machine does not"

    logits, digest, used = loaded_elsewhere("models:/bot@champion", tmp_path / "second")
    assert torch.equal(logits, expected)
    assert (digest, used) == (version.adapter_digest, "models:/tiny/1")

    client = connection.client()
    copied = client.copy_model_version("models:/bot/1", "prod-bot")
    uri = f"models:/prod-bot/{copied.version}"
    assert resolve(uri).adapter_digest == version.adapter_digest
    client.delete_registered_model("bot")
    with pytest.raises(NotFoundError):
        resolve("models:/bot/1")
    shutil.rmtree(tmp_path / "home")
    logits, digest, _ = loaded_elsewhere(uri, tmp_path / "third")
    assert torch.equal(logits, expected)
    assert digest == version.adapter_digest

    shared = client.copy_model_version("models:/tiny/1", "shared-tiny")
    client.delete_registered_model("tiny")
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    found = versions.registered_base(base.digest)
    assert found is not None
    assert (found.name, str(found.version)) == ("shared-tiny", str(shared.version))
    logits, _, used = loaded_elsewhere(uri, tmp_path / "fourth")
    assert torch.equal(logits, expected)
    assert used == "models:/shared-tiny/1"
    assert resolve("shared-tiny").base.digest == base.digest, "and by its new name"
