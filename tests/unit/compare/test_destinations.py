"""Prompts that leave this machine are announced."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from echo_engine import side

from llmops.compare.destinations import announce
from llmops.compare.scorers.scorer import Scorer
from llmops.engine.openai.endpoint import remote_model


def test_each_server_is_named_with_what_it_gets(capsys: pytest.CaptureFixture[str]) -> None:
    judge: Any = SimpleNamespace(side=remote_model("openai:https://judge.example/v1#j"))
    local: Any = SimpleNamespace(side=side("v2"))
    scorers = [
        Scorer(name, name, False, "0", None, asker)
        for name, asker in zip("abc", (None, judge, local), strict=True)
    ]
    announce([side("v1"), remote_model("openai:http://h:1/v1#bot")], scorers, 1200)
    assert capsys.readouterr().err.splitlines() == [
        "compare: up to 1,200 prompts go to http://h:1/v1 (model bot)",
        "compare: up to 1,200 prompts with the answers to judge go to https://judge.example/v1 (model j)",
    ]
    announce([side("v1"), side("v2")], [], 3)
    assert capsys.readouterr().err == ""
