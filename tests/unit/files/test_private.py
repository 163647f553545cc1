"""Files that hold prompts and answers belong to their owner alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.files import home, private, staging, workspace


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_nobody_else_reads_what_is_made() -> None:
    folder = home.folder("metrics/exact")
    assert [mode(place) for place in (home.home(), folder.parent, folder)] == [0o700] * 3
    file = private.make_file(folder / "log")
    file.write_text("kept")
    home.write_whole(folder / "whole", "x")
    assert [mode(file), mode(folder / "whole")] == [0o600, 0o600]
    with staging.staging() as work, workspace.workspace("run", "key") as run:
        staging.note(key="value")
        assert [mode(work), mode(run), mode(work / staging.NOTES)] == [0o700, 0o700, 0o600]


def test_what_is_shared_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    home.write_whole(tmp_path / "report.html", "x", shared=True)
    os.umask(before)
    assert mode(tmp_path / "report.html") == 0o644


def test_older_files_are_tightened_when_they_are_opened() -> None:
    folder = home.folder("cache")
    (folder / "a").write_text("kept")
    for path, older in ((home.home(), 0o755), (folder, 0o775), (folder / "a", 0o664)):
        path.chmod(older)
    home.folder("cache")
    assert private.make_file(folder / "a").read_text() == "kept"
    assert [mode(p) for p in (home.home(), folder, folder / "a")] == [0o700, 0o700, 0o600]


def test_a_folder_with_other_things_in_it_keeps_its_permissions() -> None:
    home.home().mkdir()
    home.home().chmod(0o755)
    (home.home() / "my-notes.txt").touch()
    assert mode(home.folder("cache")) == 0o700
    assert mode(home.home()) == 0o755


def test_a_shared_folder_and_one_of_another_account_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    private.tighten(tmp_path, 0o700)
    assert mode(tmp_path) == 0o1777
    tmp_path.chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    private.tighten(tmp_path, 0o700)
    assert mode(tmp_path) == 0o777


def test_fewer_permissions_are_never_widened(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    private.tighten(tmp_path, 0o700)
    assert mode(tmp_path) == 0o500
    tmp_path.chmod(0o700)
