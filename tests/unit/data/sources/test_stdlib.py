"""Signatures and docstrings of Python's own library."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.data.sources.stdlib import INSTRUCTION, functions_of, stdlib_docstrings

SOURCE = '''
"""A module."""
raise SystemExit("parsed, never run")

def add(a: int, *, b=2) -> int:
    """Return the sum of a and b.

    More about it.
    """

async def wait(seconds):
    """Wait for some seconds."""

def _private():
    """Return what nobody sees."""

def unfinished():
    """Return what has no full stop"""

def short():
    """Run."""

def silent(): ...

class Adder:
    def method(self):
        """Return what is not at the top level."""
'''


def test_the_standard_library_has_several_hundred_pairs() -> None:
    rows = stdlib_docstrings()
    assert len(rows) > 450
    assert len({row["group"] for row in rows}) > 80
    assert all("\n" not in row["completion"] and row["completion"].endswith(".") for row in rows)
    assert not any(row["id"].rpartition(".")[2].startswith("_") for row in rows)


def test_public_functions_with_a_sentence_become_rows(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(SOURCE)
    add, wait = functions_of("own", tmp_path / "own.py")
    assert add == {
        "id": "own.add",
        "prompt": f"{INSTRUCTION}\n\ndef add(a: int, *, b=2) -> int:",
        "completion": "Return the sum of a and b.",
        "group": "own",
    }
    assert wait["prompt"].endswith("\n\nasync def wait(seconds):")


def test_what_is_not_python_is_a_syntax_error(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def add(:\n")
    with pytest.raises(SyntaxError):
        list(functions_of("own", tmp_path / "own.py"))
