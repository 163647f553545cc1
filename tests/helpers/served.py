"""Versions as engines behind a gateway get them, made of a directory and without a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sides import trained

from llmops.files import digest
from llmops.models import adapters
from llmops.records import BaseModel, ModelFiles
from llmops.records.serving import Served


def base_record(folder: Path) -> BaseModel:
    return BaseModel("tiny", "models:/tiny/1", digest.of_model(folder), folder)


def served_base(folder: Path, version: int = 1) -> Served:
    """A full model."""
    uri = f"models:/whole/{version}"
    files = ModelFiles(f"v{version}", uri, base_record(folder), None, None, None)
    return Served(f"whole@v{version}", files, None)


def served_adapter(base: Path, folder: Path, version: int, **settings: Any) -> Served:
    """A version with an adapter of its own, laid out as in the cache."""
    settings = {"init_lora_weights": False, "r": 4} | settings
    place = folder / f"v{version}"
    trained(base, seed=version, **settings).save_pretrained(place / adapters.ADAPTER_FOLDER)
    (place / adapters.ADAPTER_FOLDER / "README.md").unlink(missing_ok=True)
    files = ModelFiles(
        label=f"v{version}",
        uri=f"models:/bot/{version}",
        base=base_record(base),
        adapter_dir=place / adapters.ADAPTER_FOLDER,
        adapter_digest=adapters.content_digest(place),
        model_id=None,
    )
    return Served(f"bot@v{version}", files, None)
