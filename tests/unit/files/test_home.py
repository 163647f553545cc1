from __future__ import annotations

import sys
from pathlib import Path

import platformdirs
import pytest

from llmops.errors import LlmopsError, UsageError
from llmops.files import home


def test_the_variable_names_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_HOME", str(tmp_path / "own"))
    assert home.home() == tmp_path / "own"
    assert not (tmp_path / "own").exists()  # asking creates nothing


def test_a_tilde_and_a_relative_path_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LLMOPS_HOME", "~/llm")
    assert home.home() == tmp_path / "llm"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMOPS_HOME", "here")
    assert home.home() == tmp_path / "here"


@pytest.mark.parametrize("value", [None, ""])
def test_without_it_the_platform_decides(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("LLMOPS_HOME")
    else:
        monkeypatch.setenv("LLMOPS_HOME", value)
    assert home.home() == Path(platformdirs.user_data_dir("llmops", appauthor=False))


@pytest.mark.skipif(sys.platform != "linux", reason="the environment of vLLM is Linux")
def test_the_default_needs_no_package_beside_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMOPS_HOME")
    for data in (None, "/srv/data"):
        if data is None:
            monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        else:
            monkeypatch.setenv("XDG_DATA_HOME", data)
        expected = Path(platformdirs.user_data_dir("llmops", appauthor=False))
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "platformdirs", None)
            assert home.home() == expected


def test_a_folder_is_created_once_and_kept() -> None:
    folder = home.folder("cache")
    (folder / "x").touch()
    assert home.folder("cache") == folder == home.home() / "cache"
    assert (folder / "x").exists()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (" ", "is blank"),
        ("\n", "is blank"),
        ("a\nb", "line break"),
        ("a\x1b[31m", "another character"),
        ("~nosuchuser/x", "home directory"),
    ],
)
def test_a_home_that_cannot_be_a_path_is_refused(
    value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_HOME", value)
    for read in (home.home, lambda: home.folder("cache")):
        with pytest.raises(UsageError, match=problem) as refused:
            read()
        assert "export LLMOPS_HOME=FOLDER" in str(refused.value.next_command)


def test_a_home_in_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/home"):
        monkeypatch.setenv("LLMOPS_HOME", str(tmp_path / place))
        with pytest.raises(LlmopsError, match="cannot create"):
            home.folder("cache")
