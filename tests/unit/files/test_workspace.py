from __future__ import annotations

from pathlib import Path

import pytest

from llmops.errors import UsageError
from llmops.files import home
from llmops.files.workspace import workspace


def test_the_folder_is_kept_after_a_failure_and_gone_after_the_end() -> None:
    with pytest.raises(KeyError), workspace("bot", "k1") as work:  # noqa: PT012
        (work / "half").write_text("done")
        raise KeyError
    assert (work / "half").read_text() == "done"
    with workspace("bot", "k1") as again:
        assert again == work == home.home() / "runs" / "bot-k1"
        assert (again / "half").exists()
    assert not work.exists()


def test_one_process_at_a_time_runs_a_recipe() -> None:
    with workspace("bot", "k1"):
        with (
            pytest.raises(UsageError, match="recipe bot: another process") as caught,
            workspace("bot", "k1"),
        ):
            raise AssertionError("entered twice")
        assert "seed=8" in str(caught.value.next_command)
        with workspace("bot", "k2") as other:  # another recipe, or the same in another store
            assert Path(other).is_dir()
