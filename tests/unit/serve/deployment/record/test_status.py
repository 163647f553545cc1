from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llmops.records import Proof
from llmops.serve.deployment.record.status import Started, Status


def test_a_status_survives_as_text() -> None:
    status = Status(
        phase="loading",
        proof=Proof("d", "IMPROVED", "r"),
        processes=(Started(1, 2.5),),
        control="http://127.0.0.1:1",
        token="t",
    )
    assert Status.from_json(status.to_json()) == status
    assert Status.from_json(Status().to_json()) == Status()
    with pytest.raises(TypeError):
        Status.from_json('{"a field of a later release": 1}')


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    own = Started.of(os.getpid())
    assert own is not None
    assert own.alive() is not None
    assert Started(own.pid, own.created - 60).alive() is None
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        found = Started.of(ended.pid)
    assert found is not None
    assert found.alive() is None
    assert Started.of(ended.pid) is None
    assert Started(0, 0.0).alive() is None, "before a gateway starts"
    assert Started(-1, 0.0).alive() is None
