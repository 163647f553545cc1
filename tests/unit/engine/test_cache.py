from __future__ import annotations

from pathlib import Path

import pytest

from llmops.engine.cache import ResultCache


@pytest.mark.parametrize(
    "damage", [b"not a database at all", b"SQLite format 3\x00" + b"\xff" * 4000]
)
def test_a_damaged_cache_is_put_aside(
    tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(damage)
    with ResultCache(path) as cache:
        assert cache.get("key") is None
        cache.put({"key": [1, 2]})
    assert "is damaged" in capsys.readouterr().err
    with ResultCache(path) as cache:
        assert cache.get("key") == [1, 2]
    assert (tmp_path / "results.damaged").read_bytes() == damage


def test_a_torn_value_is_a_miss(tmp_path: Path) -> None:
    with ResultCache(tmp_path / "results.sqlite") as cache:
        cache._db.execute("insert into result values ('key', '[1,')")
        assert cache.get("key") is None
