from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from llmops.compare.cache import ResultCache, entries
from llmops.errors import LlmopsError
from llmops.files import home


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
        cache.put({"key": [1, 2]})
        cache._db.execute("update result set value = '[1,'")
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


def changed(path: Path, query: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(query, values)
        db.commit()


def test_a_cache_of_an_older_llmops_is_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.sqlite"
    changed(path, "create table result (key text primary key, value text not null)")
    changed(path, "insert into result values ('key', '[1]'), ('other', '[1]')")
    with ResultCache(path) as cache:
        assert cache.count(1) == 0, "nobody knows its last use: it counts from now"
        assert cache.get("key") is cache.get("key") is cache.get("other") is None
        cache.put({"key": [2]})
        assert cache.get("key") == [2]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {path}: 2 cached results were not written by this llmops")
    with ResultCache(path) as cache:
        assert cache.get("key") == [2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("update result set value = ? where key = 'a'", ["[9]"]),
        (
            "update result set value = (select value from result where key = 'b') where key = 'a'",
            [],
        ),
        ("update result set seal = (select seal from result where key = 'b') where key = 'a'", []),
        ("update result set seal = null where key = 'a'", []),
        ("update result set seal = '' where key = 'a'", []),
        ("update result set seal = upper(seal) where key = 'a'", []),
        ("update result set seal = substr(seal, 1, 8) where key = 'a'", []),
        ("update result set seal = 1 where key = 'a'", []),
        ("update result set seal = ? where key = 'a'", [b"\xff"]),
        ("update result set value = ? where key = 'a'", [b"[1]"]),
        # a row under another row's key, with that row's own seal
        ("update result set key = case key when 'a' then 'b' else 'c' end where key != 'c'", []),
    ],
)
def test_a_row_that_was_changed_is_ignored(
    tmp_path: Path, query: str, values: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.sqlite"
    with ResultCache(path) as cache:
        cache.put({"b": [2]})
        cache.put({"a": [1]})
        assert (cache.get("a"), cache.get("b")) == ([1], [2])
    if "case key" in query:
        changed(path, "delete from result where key = 'b'")
    changed(path, query, *values)
    with ResultCache(path) as cache:
        assert cache.get("a") is None
        assert cache.get("b") in (None, [2])
    assert "1 cached results" in capsys.readouterr().err


def test_a_cache_from_another_machine_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ResultCache() as cache:
        cache.put({"a": [1]})
    copy = tmp_path / "elsewhere"
    shutil.copytree(home.folder("cache"), copy / "cache")
    monkeypatch.setenv("LLMOPS_HOME", str(copy))
    with ResultCache() as cache:
        assert cache.get("a") is None
    assert "1 cached results" in capsys.readouterr().err


def test_file_and_key_belong_to_their_owner_alone() -> None:
    before = os.umask(0)
    with ResultCache() as cache:
        cache.put({"a": [1]})
        places = [*home.folder("cache").iterdir(), *home.folder("keys").iterdir()]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in places}
    os.umask(before)
    assert modes.keys() == {"results.sqlite", "results.sqlite-wal", "results.sqlite-shm", "answers"}
    assert set(modes.values()) == {0o600}


def test_threads_that_need_the_first_key_at_once_share_it() -> None:
    def put(name: str) -> None:
        with ResultCache() as cache:
            cache.put({name: name})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, map(str, range(8))))
    with ResultCache() as cache:
        assert [cache.get(str(i)) for i in range(8)] == list(map(str, range(8)))


def test_a_damaged_key_is_made_anew_and_its_rows_are_ignored() -> None:
    with ResultCache() as cache:
        cache.put({"a": [1]})
    (home.folder("keys") / "answers").write_text("short")
    with ResultCache() as cache:
        assert cache.get("a") is None
        cache.put({"a": [1]})
    with ResultCache() as cache:
        assert cache.get("a") == [1]
    (home.folder("keys") / "answers").write_text("z" * 64)
    with pytest.raises(LlmopsError, match="the key of the answer cache"), ResultCache() as cache:
        cache.get("a")


def test_entries_are_counted_without_a_change(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    assert entries(path) is None
    assert not path.exists()
    with ResultCache(path) as cache:
        cache.put({"a": 1, "b": 2})
        assert entries(path) == 2
    assert entries(path) == 2
    path.write_bytes(b"not a database at all")
    assert entries(path) is None
    assert path.read_bytes() == b"not a database at all"
    assert entries(tmp_path) is None
