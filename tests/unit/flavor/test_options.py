from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from llmops.errors import ConfigError, UsageError
from llmops.flavor.options import LogOptions, SourceOptions, check_save_options


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"registered_model_name": "a/b"}, ConfigError, "model name 'a/b'"),
        ({"alias": "champion"}, UsageError, "alias='champion' needs registered_model_name"),
        ({"alias": "v1", "registered_model_name": "bot"}, ConfigError, "alias 'v1'"),
        ({"save": {"extra_files": []}}, UsageError, "unknown argument extra_files"),
    ],
)
def test_what_would_fail_later_fails_at_once(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        LogOptions(**options)


def test_options_cannot_be_changed_on_their_way() -> None:
    with pytest.raises(FrozenInstanceError):
        LogOptions().step = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        SourceOptions().revision = "main"  # type: ignore[misc]


def test_a_model_is_called_by_its_registered_name_first() -> None:
    assert LogOptions(name="run-7", registered_model_name="bot").label == "bot"
    assert LogOptions(name="run-7").label == "run-7"
    assert LogOptions().label == ""


@pytest.mark.parametrize("value", ["torch", ("torch",), ["torch", 1]])
def test_requirements_are_a_list_of_lines(value: Any) -> None:
    with pytest.raises(UsageError, match="extra_pip_requirements must be a list"):
        check_save_options({"extra_pip_requirements": value})
    check_save_options({"extra_pip_requirements": ["torch"], "pip_requirements": []})
