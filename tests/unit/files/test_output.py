"""Files beside a result: refused before the work, written whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmops.errors import LlmopsError, UsageError
from llmops.files.output import check_output, write_output


def test_what_could_not_be_written_is_refused(tmp_path: Path) -> None:
    suite = tmp_path / "suite.jsonl"
    suite.write_text("{}")
    (tmp_path / "link").symlink_to(suite)
    (tmp_path / "round").symlink_to("round")
    refused = {
        tmp_path: "is not a regular file",
        Path(os.devnull): "is not a regular file",
        suite: "is a file that this command reads",
        tmp_path / "link": "is a file that this command reads",
        tmp_path / "no" / "such": "its folder does not exist or is not writable",
        tmp_path / ("x" * 201): "its name is longer than 200 bytes",
        tmp_path / "round": "is a symbolic link that leads to itself",
    }
    for path, why in refused.items():
        with pytest.raises(UsageError) as caught:
            check_output("--junit", path, [suite, tmp_path / "absent"])
        assert caught.value.message == f"--junit {path}: {why}"
    check_output("--junit", tmp_path / "new.xml", [suite])


def test_a_file_is_written_whole_through_a_link_and_readable_by_others(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("earlier")
    link.symlink_to(real)
    write_output("--summary", link, "text")
    assert real.read_text() == "text"
    assert link.is_symlink()
    assert real.stat().st_mode & 0o444 == 0o444
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


def test_a_write_that_fails_names_the_option_and_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(LlmopsError) as caught:
        write_output("--json", tmp_path / "gone" / "x", "text", otherwise="mlflow artifacts …")
    assert "--json" in str(caught.value)
    assert "cannot be written: No such file or directory\n  Next: mlflow artifacts" in str(
        caught.value
    )
