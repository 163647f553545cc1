from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from llmops.errors import ServeError
from llmops.files import home
from llmops.serve.deployment.record import database

WRITE = "insert or replace into keys (name, hash, created) values (?, 'x', 1)"


def written() -> list[str]:
    with database.reading() as connection:
        return [row["name"] for row in connection.execute("select name from keys order by name")]


def test_only_this_account_can_read_the_file_and_what_belongs_to_it() -> None:
    with database.writing() as connection:
        connection.execute(WRITE, ("a",))
        files = [file for file in database.path().parent.iterdir() if "state.db" in file.name]
    assert database.path() == home.home() / "deployments" / "state.db"
    assert len(files) == 3, "the log and the shared memory of SQLite hold content, too"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files if file.exists()} == {0o600}


def test_a_failed_transaction_writes_nothing() -> None:
    def broken_off() -> None:
        with database.writing() as connection:
            connection.execute(WRITE, ("a",))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert written() == []


def test_what_a_process_with_an_open_connection_writes_is_seen_by_the_others() -> None:
    # Opening the file once more and closing it would release the locks of the first connection;
    # another process would then take itself for the last one, and remove the log beneath it.
    open_and_write = (
        "from llmops.serve.deployment.record import database\n"
        "held = database.connect()\n"
        "held.execute('select * from keys').fetchall()\n"
        "for name in ('a', 'b', 'c'):\n"
        "    input()\n"
        "    with database.writing() as connection:\n"
        f"        connection.execute({WRITE!r}, (name,))\n"
        "    print(flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", open_and_write],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for number in range(3):
            other.stdin.write("\n")
            other.stdin.flush()
            other.stdout.readline()
            assert written() == ["a", "b", "c"][: number + 1]
        other.stdin.close()


def test_writers_wait_for_each_other() -> None:
    def write(worker: int) -> None:
        for number in range(10):
            with database.writing() as connection:
                connection.execute(WRITE, (f"{worker}-{number}",))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written()) == 80


def test_a_damaged_file_is_named_with_what_to_do() -> None:
    file = database.path()
    file.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(ServeError, match=r"state\.db: damaged: .*deployments and keys") as damaged:
        written()
    assert damaged.value.next_command is not None
    assert damaged.value.next_command.startswith(f"mv {file} {file}.damaged")
    subprocess.run(damaged.value.next_command.partition(";")[0], shell=True, check=True)
    assert written() == []


def test_the_file_of_a_later_release_is_left_alone() -> None:
    with closing(sqlite3.connect(database.path())) as connection:
        connection.execute("pragma user_version = 7")
    before = database.path().read_bytes()
    with pytest.raises(ServeError, match=r"written by a later release(.|\n)*pip install --upgrade"):
        written()
    assert database.path().read_bytes() == before


def test_a_file_that_cannot_be_opened_is_named() -> None:
    database.path().mkdir()
    with pytest.raises(ServeError, match=r"state\.db: cannot be read or written"):
        written()
    database.path().rmdir()
    database.path().symlink_to("/no/such/folder/state.db")
    with pytest.raises(ServeError, match=r"state\.db: cannot be read or written: unable to open"):
        written()


def test_a_full_disk_is_named() -> None:
    written()
    fill = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from llmops.errors import ServeError\n"
        "from llmops.serve.deployment.record import database\n"
        "try:\n"
        "    with database.writing() as connection:\n"
        f"        connection.execute({WRITE!r}, ('x' * 100_000,))\n"
        "except ServeError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", fill], capture_output=True, text=True, check=True)
    assert "state.db: cannot be read or written: " in said.stdout
    assert "Next: rerun the command; if it fails again, free disk space" in said.stdout
    assert written() == []
