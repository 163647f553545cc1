from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from llmops.compare.cache import ResultCache
from llmops.errors import LlmopsError


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


def test_a_cache_with_damaged_values_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with ResultCache(path) as cache:
        cache.put({f"{i:064}": "x" * 500 for i in range(200)})
        (page,) = cache._db.execute("select rootpage from sqlite_master where name = 'result'")
    bytes_ = bytearray(path.read_bytes())
    bytes_[(page[0] - 1) * 4096 : page[0] * 4096] = b"\xff" * 4096
    path.write_bytes(bytes_)
    with ResultCache(path) as cache:
        assert cache.count() == 0
    assert (tmp_path / "results.damaged").exists()


def test_no_room_for_more_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with ResultCache(path) as cache:
        cache.put({"kept": 1})
        cache._db.execute("pragma max_page_count = 4")
        with pytest.raises(LlmopsError, match=f"{path}: cannot be read or written: .* full"):
            cache.put({"k": "x" * 100_000})
        assert cache.get("kept") == 1


def test_a_table_of_another_layout_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("create table result (name text)")
    db.close()
    with ResultCache(path) as cache:
        cache.put({"k": 1})
        assert cache.get("k") == 1
    assert (tmp_path / "results.damaged").exists()


def test_a_place_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(LlmopsError, match=str(tmp_path)):
        ResultCache(tmp_path)


def test_a_torn_value_is_a_miss(tmp_path: Path) -> None:
    with ResultCache(tmp_path / "results.sqlite") as cache:
        cache._db.execute("insert into result values ('key', '[1,', 0)")
        assert cache.get("key") is None


def test_results_that_nobody_uses_are_pruned(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with ResultCache(path) as cache:
        cache.put({"old": 1, "read": 2, "new": 3})
        cache._db.execute("update result set used = used - 40 where key != 'new'")
        cache._db.commit()
    with ResultCache(path) as cache:
        assert cache.get("read") == 2
    with ResultCache(path) as cache:
        assert cache.count() == 3
        assert cache.count(30) == cache.prune(30) == 1
        assert cache.get("old") is None
        assert (cache.get("read"), cache.get("new")) == (2, 3)


def test_a_cache_of_an_older_llmops_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    db = sqlite3.connect(path)
    db.execute("create table result (key text primary key, value text not null)")
    db.execute("insert into result values ('key', '[1]')")
    db.commit()
    db.close()
    with ResultCache(path) as cache:
        assert cache.get("key") == [1]
        assert cache.count(1) == 0, "nobody knows its last use: it counts from now"
