"""A prompt that says which day it is, is another prompt tomorrow."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_models import build_tiny_model

from llmops.compare.answers import dated
from llmops.compare.answers.dated import dated_prompt
from llmops.records import BaseModel, ModelFiles, RemoteModel

HELLO = [{"role": "user", "content": "Hello"}]
DATED = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}[{{ m['content'] }}]{% endfor %}"


def side_of(folder: Path, own: Path | None = None) -> ModelFiles:
    base = BaseModel("tiny", "models:/tiny/1", "0" * 64, folder)
    return ModelFiles("base", base.uri, base, None, None, None, tokenizer_dir=own)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dated._dated_format.cache_clear()
    return build_tiny_model(tmp_path / "base")


def test_a_template_without_the_date_needs_no_rendering(folder: Path) -> None:
    assert dated_prompt(side_of(folder), HELLO) is None


def test_a_template_with_the_date_is_rendered(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(DATED)
    prompt = dated_prompt(side_of(folder), HELLO)
    assert prompt is not None
    assert prompt.endswith("[Hello]")
    assert any(character.isdigit() for character in prompt)


def test_the_version_s_own_template_counts(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(folder / "tokenizer_config.json", own)
    shutil.copy(folder / "tokenizer.json", own)
    (own / "chat_template.jinja").write_text(DATED)
    assert dated_prompt(side_of(folder, own), HELLO)
    assert dated_prompt(replace(side_of(folder), label="other"), HELLO) is None


def test_texts_and_models_behind_a_url_have_no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(DATED)
    assert dated_prompt(side_of(folder), "a text to continue") is None
    assert dated_prompt(RemoteModel("m", "openai:http://h/v1#m", "0" * 64), HELLO) is None
