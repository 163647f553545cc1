from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from llmops.files.capped import cap

WRITER = "import sys\nfor line in sys.stdin: print(line.strip() * 100, flush=True)"


def test_a_log_that_a_program_goes_on_writing_stays_small(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    with log.open("ab") as output:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=output, text=True
        )
    assert writer.stdin is not None
    for number in range(1, 10):
        before = log.stat().st_size
        writer.stdin.write(f"{number}\n")
        writer.stdin.flush()
        while log.stat().st_size == before:
            pass
        assert cap(log, most=250) is (number % 3 == 0)
    writer.stdin.close()
    writer.wait()
    assert log.read_bytes() == b"", "not a file with a hole where it was"
    assert (tmp_path / "engine.log.1").read_text() == (
        "7" * 48 + "\n" + "8" * 100 + "\n" + "9" * 100 + "\n"
    )[-250:]
    assert os.stat(tmp_path / "engine.log.1").st_mode & 0o077 == 0


def test_what_is_small_or_gone_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    assert cap(log) is False
    log.write_text("small")
    assert cap(log) is False
    assert [path.name for path in tmp_path.iterdir()] == ["engine.log"]
