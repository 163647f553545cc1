"""Two versions of a model, and deployments with the stand-in for the gateway."""

from __future__ import annotations

from pathlib import Path

import pytest
import standin
from tiny_models import build_tiny_adapter
from versions import log_version

from llmops import serve
from llmops.flavor import add_base


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    standin.use_it(monkeypatch)


@pytest.fixture
def versions(store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path) -> str:
    """Registers versions 1, the champion, and 2; returns the champion's URI."""
    base = add_base(tiny_model, "tiny")
    log_version(tiny_adapter, base, "bot", alias="champion")
    log_version(build_tiny_adapter(tiny_model, tmp_path / "other", seed=5), base, "bot")
    return "models:/bot@champion"


@pytest.fixture
def deployed(gateway: None, versions: str):
    """A deployment ``bot`` that follows the champion; deleted at the end."""
    yield serve.create("bot", versions, unproven="allow")
    if any(deployment.name == "bot" for deployment in serve.list_all()):
        serve.delete("bot")
