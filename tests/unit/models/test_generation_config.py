from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import IntegrityError, LlmopsError, UsageError
from llmops.models import generation_config
from llmops.models.generation_config import Generation


def written(folder: Path, **settings: Any) -> Path:
    file = folder / generation_config.FILE
    file.write_text(json.dumps(settings))
    return file


def test_the_file_says_where_an_answer_ends(tmp_path: Path) -> None:
    file = written(
        tmp_path, eos_token_id=[2, 7], repetition_penalty=1.1, suppress_tokens=[5], top_k=3
    )
    assert generation_config.read(file) == Generation((2, 7), 1.1, (5,))


def test_one_end_and_none_are_lists_too(tmp_path: Path) -> None:
    assert generation_config.read(written(tmp_path, eos_token_id=2)).end_ids == (2,)
    assert generation_config.read(written(tmp_path)) == Generation()


def test_a_setting_without_effect_is_no_setting(tmp_path: Path) -> None:
    settings = {"num_beams": 1, "length_penalty": 1.0, "bad_words_ids": None, "prefix": ""}
    assert generation_config.read(written(tmp_path, **settings)) == Generation()


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"num_beams": 4}, UsageError, "sets num_beams, which llmops does not support"),
        ({"guidance_scale": True}, UsageError, "guidance_scale"),
        ({"eos_token_id": -1}, IntegrityError, "must be token ids, received -1"),
        ({"eos_token_id": True}, IntegrityError, "must be token ids"),
        ({"suppress_tokens": ["x"]}, IntegrityError, "suppress_tokens must be token ids"),
        ({"repetition_penalty": -1}, IntegrityError, "must be a number above 0"),
        ({"repetition_penalty": float("nan")}, IntegrityError, "must be a number above 0"),
    ],
)
def test_what_would_change_answers_is_refused(
    tmp_path: Path, settings: dict[str, Any], error: type[LlmopsError], says: str
) -> None:
    with pytest.raises(error, match=says):
        generation_config.read(written(tmp_path, **settings))


def test_an_older_checkpoint_has_its_end_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"eos_token_id": 9}')
    assert generation_config.of_model(tmp_path) == Generation((9,))
    written(tmp_path, eos_token_id=4)
    assert generation_config.of_model(tmp_path) == Generation((4,)), "its own file wins"
