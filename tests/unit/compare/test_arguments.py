"""What a notebook passes: settings by keyword, sides by name, and errors that say what to pass."""

from __future__ import annotations

from typing import Any

import pytest

from llmops.compare.arguments import Settings, require_side, with_settings
from llmops.errors import UsageError
from llmops.recipe.schema import Compare


def test_settings_change_the_keys_that_they_name_and_no_others() -> None:
    config = Compare(method="fixed", scorers=("exact",))
    found = with_settings(config, {"max_tokens": 8})
    assert found == Compare(method="fixed", scorers=("exact",), max_tokens=8)
    assert with_settings(None, {}) == Compare()


def test_every_key_of_a_recipe_is_a_setting_or_an_argument() -> None:
    assert {*Settings.__annotations__, "baseline", "scorers"} == set(Compare.model_fields)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_token": 8}, r"no setting 'max_token'; allowed: .*; did you mean max_tokens\?"),
        ({"max_tokens": 0}, "max_tokens: .*greater than or equal to 1"),
        ({"repeats": 3}, "repeats need a temperature above 0"),
        ({"method": "magic", "max_tokens": 0}, "method: .*; max_tokens: "),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        with_settings(None, settings)


def test_a_configuration_of_another_type_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected llmops.recipe.Compare, received dict"):
        with_settings({"max_tokens": 8}, {})  # type: ignore[arg-type]


class PeftModel:
    """As good as a loaded model: nothing but its type is read."""


class ModelInfo:
    model_uri = "models:/m-1"


def test_a_loaded_model_is_no_side_and_the_error_says_how_to_make_it_one() -> None:
    with pytest.raises(UsageError, match="received PeftModel") as error:
        require_side(PeftModel())
    assert "llmops.log_model" in str(error.value.next_command)
    with pytest.raises(UsageError, match="received ModelInfo") as error:
        require_side(ModelInfo())
    assert "'models:/m-1'" in str(error.value.next_command)
    assert require_side("models:/bot/1") == "models:/bot/1"
