"""The files that a version is made of, and their pin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
from versions import log_version

from llmops.models import stored
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection, registry


def test_the_pin_names_base_and_adapter_by_content(version: ModelVersion, base: BaseModel) -> None:
    pin = stored.read_pin(version.uri)
    assert pin.digest == base.digest
    assert pin.adapter_digest == version.adapter_digest
    assert registry.version_of_alias("bot", "champion") == "1"
    logged = connection.client().get_logged_model(version.model_id)
    assert '"name": "bot"' in logged.tags["mlflow.modelVersions"], "its page lists its versions"
    assert logged.tags["llmops.adapter_digest"] == version.adapter_digest


def test_the_same_weights_have_the_same_digest_however_peft_orders_its_sets(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    # PEFT writes target_modules, a set, in an order that changes from process to process.
    shuffled = tmp_path / "shuffled"
    shutil.copytree(tiny_adapter, shuffled)
    config = json.loads((shuffled / "adapter_config.json").read_text())
    config["target_modules"].reverse()
    (shuffled / "adapter_config.json").write_text(json.dumps(config))
    with mlflow.start_run():
        one = log_version(tiny_adapter, base, "bot")
        two = log_version(shuffled, base, "bot")
    assert one.adapter_digest == two.adapter_digest
