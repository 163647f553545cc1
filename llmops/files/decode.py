"""Text of a user's file, whatever program wrote it."""

from __future__ import annotations

import codecs
import shlex
from pathlib import Path

from llmops.errors import DataError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the first half of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks, and the encodings that they announce."""
LIKELY = "WINDOWS-1252"
"""The encoding in which spreadsheet programs write western European text, unless asked."""


def text_of(path: Path) -> str:
    """Return the text of a file in UTF-8, or in the encoding that its byte-order mark names.

    Line ends are unchanged, because quoted fields may hold them. Another encoding is never guessed:
    a wrong guess changes letters without any error.

    Raises:
        DataError: The bytes are not in that encoding; the message names the byte, and the next step
            converts the file.
    """
    data = path.read_bytes()
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and (at := data.find(0)) >= 0:
        raise DataError(
            f"{path}: a zero byte at {at}, so probably UTF-16 without a byte-order mark",
            next_command=_conversion(path, "UTF-16LE" if at % 2 else "UTF-16BE"),
        )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding not in ("utf-8", "utf-8-sig"):
            raise DataError(f"{path}: not {encoding.upper()}, although its mark says so") from error
        shown = data[error.start : error.start + 1].decode(LIKELY, "replace")
        raise DataError(
            f"{path}: not UTF-8 (byte {error.start}, line {_line(data, error.start)}; in {LIKELY}"
            f" that byte is {shown!r})",
            next_command=_conversion(path, LIKELY),
        ) from error


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _conversion(path: Path, encoding: str) -> str:
    """Return the command that converts a file, to be typed if the encoding is right."""
    target = path.with_name(f"{path.stem}-utf8{path.suffix}")
    return f"iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > {shlex.quote(str(target))}"
