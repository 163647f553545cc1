"""Patterns of module names that never end are refused; ordinary ones start no process."""

from __future__ import annotations

import time
from typing import Any

import peft
import pytest

from llmops.errors import IntegrityError
from llmops.models.foreign import patterns
from llmops.models.foreign.process import LIMITED, LimitedProcess

pytestmark = pytest.mark.usefixtures("one_second")
NAMES = [f"model.layers.{i}.self_attn.{name}_proj" for i in range(32) for name in "qkvo"]
ENDLESS = r"(\w+\.?)+\d!"


def config(**settings: Any) -> Any:
    return peft.LoraConfig(**{"target_modules": ["q_proj"], **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ENDLESS},
        {"exclude_modules": ENDLESS},
        {"rank_pattern": {ENDLESS: 8}},
        {"alpha_pattern": {"q_proj": 4, ENDLESS: 8}},
        {"layers_to_transform": [1], "layers_pattern": [ENDLESS]},
        {"modules_to_save": [ENDLESS]},
    ],
    ids=lambda settings: next(reversed(settings)),
)
def test_a_pattern_without_end_is_refused(settings: dict[str, Any]) -> None:
    begun = time.monotonic()
    with pytest.raises(
        IntegrityError, match=r"a\.json: a pattern of module names: takes more than"
    ):
        patterns.check("a.json", config(**settings), NAMES)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    "pattern",
    [
        r".*\.layers\.(\d|1\d)\.self_attn\.(q|k)_proj",
        r"(?:.*?(?:vision|language).*?(?:self_attn|mlp).*?(?:query|key).*?)|(?:\bmodel\.layers\.[\d]{1,}\..*)",
        "(",  # PEFT says what is wrong with it
    ],
)
def test_a_useful_pattern_passes(pattern: str) -> None:
    patterns.check("a.json", config(target_modules=pattern), NAMES)


def test_plain_names_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    unused = LimitedProcess()
    monkeypatch.setattr(patterns, "LIMITED", unused)
    patterns.check("a.json", config(rank_pattern={r"^model\.layers.1.q_proj$": 4}), NAMES)
    assert unused._process is None
    assert LIMITED is not unused
