from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from llmops.errors import DataError
from llmops.files.decode import text_of

TEXT = "größe;a\r\nx;😀\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_is_read_as_its_mark_says(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT.encode(encoding))
    assert text_of(tmp_path / "a.csv") == TEXT


@pytest.mark.parametrize(
    ("mark", "encoding"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")]
)
def test_both_orders_of_bytes(tmp_path: Path, mark: bytes, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(mark + TEXT.encode(encoding))
    assert text_of(tmp_path / "a.csv") == TEXT


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("cp1252", "not UTF-8 (byte 6, line 2; in WINDOWS-1252 that byte is 'ö')"),
        ("utf-16-le", "a zero byte at 1, so probably UTF-16 without a byte-order mark"),
        ("utf-16-be", "a zero byte at 0, so probably UTF-16 without a byte-order mark"),
    ],
)
def test_other_encodings_are_named_with_the_command_that_converts_them(
    tmp_path: Path, encoding: str, says: str
) -> None:
    path = tmp_path / "own data.csv"
    path.write_bytes("a;b\ngröße;1\n".encode(encoding))
    with pytest.raises(DataError) as caught:
        text_of(path)
    assert caught.value.message.startswith(f"{path}: {says}")
    assert caught.value.next_command is not None
    subprocess.run(caught.value.next_command, shell=True, check=True)
    assert text_of(tmp_path / "own data-utf8.csv") == "a;b\ngröße;1\n"


def test_a_mark_that_is_not_true(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfea")
    with pytest.raises(DataError, match="not UTF-16, although its mark says so"):
        text_of(tmp_path / "a.csv")
