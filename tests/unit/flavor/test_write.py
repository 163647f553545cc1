"""What a version's directory holds."""

from __future__ import annotations

from pathlib import Path

import mlflow

from llmops.records import ModelVersion


def test_a_version_stores_the_adapter_and_not_the_base(
    version: ModelVersion, tiny_adapter: Path, tiny_model: Path
) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(version.uri))
    stored = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "base.json", "adapter/adapter_model.safetensors"} <= stored
    assert not any(
        "model.safetensors" in Path(name).name and "adapter" not in name for name in stored
    )
    adapter = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    assert (folder / "adapter/adapter_model.safetensors").read_bytes() == adapter
    assert str(tiny_model) not in "".join(p.read_text() for p in folder.rglob("*.json"))
