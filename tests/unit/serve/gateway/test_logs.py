from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.serve.gateway import logs


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    names = ["llmops", *logs.QUIET]
    before = {
        name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in names
    }
    yield
    for name, (level, propagate) in before.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in list(logger.handlers):
            if name == "llmops":
                logger.removeHandler(handler)
                handler.close()


def test_a_line_is_json_with_time_level_event_and_fields(tmp_path: Path) -> None:
    path = logs.start(tmp_path)
    logging.getLogger("llmops.serve").warning("engine died", extra={"fields": {"why": "a\nb"}})
    logging.getLogger("llmops.serve").debug("nothing")
    (line,) = path.read_text().splitlines()
    said = json.loads(line)
    assert said.pop("time").endswith("Z")
    assert said == {"level": "warning", "event": "engine died", "why": "a\nb"}
    assert path.stat().st_mode & 0o077 == 0


def test_a_flood_is_cut_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = logs.start(tmp_path)
    logger = logging.getLogger("llmops.serve")
    second = [1000.0]
    monkeypatch.setattr(
        logging.LogRecord, "created", property(lambda _: second[0], lambda *_: None), raising=False
    )
    for _ in range(logs.BURST + 50):
        logger.error("flood")
    assert len(path.read_text().splitlines()) == logs.BURST
    second[0] += 1
    logger.error("after")
    assert json.loads(path.read_text().splitlines()[-1])["left_out"] == 50


def test_the_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    monkeypatch.setattr(logs, "BURST", 10**6)
    logs.start(tmp_path)
    for number in range(500):
        logging.getLogger("llmops.serve").error("event %d", number)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 5000


def test_libraries_are_quiet(tmp_path: Path) -> None:
    path = logs.start(tmp_path)
    for name in logs.QUIET:
        logging.getLogger(name).warning("socket.accept() out of system resource")
    assert path.read_text() == ""
