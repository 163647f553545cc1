"""A version stores of its tokenizer what does something else than its base's, and nothing more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from damage import edit
from transformers import AutoTokenizer

from llmops.errors import IntegrityError, UsageError
from llmops.flavor.tokenizers import default_template, keep_template, own_files
from llmops.records import BaseModel

TEMPLATE = "{{ messages[-1]['content'] }}"


@pytest.fixture
def base(tiny_model: Path) -> BaseModel:
    return BaseModel("tiny", "models:/tiny/1", "00", tiny_model)


@pytest.fixture
def candidate(tiny_model: Path, tmp_path: Path) -> Path:
    """A tokenizer's files as a trainer writes them again."""
    folder = tmp_path / "candidate"
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


def stored(candidate: Path, base: BaseModel, tmp_path: Path) -> set[str] | None:
    own = own_files(candidate, base, tmp_path / "own")
    return None if own is None else {path.name for path in own.iterdir()}


def test_the_same_in_other_bytes_is_not_stored(
    candidate: Path, base: BaseModel, tmp_path: Path
) -> None:
    state = {"truncation": {"max_length": 9}, "padding": {"strategy": "BatchLongest"}}
    edit(candidate / "tokenizer.json", **state)
    edit(candidate / "tokenizer_config.json", model_max_length=9, padding_side="left")
    shutil.copyfile(base.directory / "generation_config.json", candidate / "generation_config.json")
    edit(candidate / "generation_config.json", transformers_version="4.0")
    assert stored(candidate, base, tmp_path) is None
    assert not (tmp_path / "own").exists()


def test_a_template_alone_is_stored_alone(candidate: Path, base: BaseModel, tmp_path: Path) -> None:
    (candidate / "chat_template.jinja").write_text(TEMPLATE)
    assert stored(candidate, base, tmp_path) == {"chat_template.jinja"}


def test_a_template_in_the_settings_becomes_a_file(
    candidate: Path, base: BaseModel, tmp_path: Path
) -> None:
    (candidate / "chat_template.jinja").unlink()
    edit(candidate / "tokenizer_config.json", chat_template=TEMPLATE)
    assert stored(candidate, base, tmp_path) == {"chat_template.jinja"}
    assert (tmp_path / "own/chat_template.jinja").read_text() == TEMPLATE


@pytest.mark.parametrize(
    "change",
    [{"eos_token": "<|im_start|>"}, {"add_bos_token": True}, {"bos_token": {"content": "<|pad|>"}}],
)
def test_another_special_token_makes_it_a_tokenizer_of_its_own(
    candidate: Path, base: BaseModel, tmp_path: Path, change: dict[str, Any]
) -> None:
    edit(candidate / "tokenizer_config.json", **change)
    assert {"tokenizer.json", "tokenizer_config.json"} <= (
        stored(candidate, base, tmp_path) or set()
    )


def test_a_token_written_as_an_object_is_the_same_token(
    candidate: Path, base: BaseModel, tmp_path: Path
) -> None:
    edit(candidate / "tokenizer_config.json", eos_token={"content": "<|im_end|>", "lstrip": False})
    assert stored(candidate, base, tmp_path) is None


def test_generation_settings_of_its_own_are_stored_if_llmops_does_them(
    tmp_path: Path, base: BaseModel
) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    edit(folder / "generation_config.json", eos_token_id=[1, 2])
    assert stored(folder, base, tmp_path) == {"generation_config.json"}
    shutil.rmtree(tmp_path / "own")
    edit(folder / "generation_config.json", num_beams=4)
    with pytest.raises(UsageError, match="sets num_beams"):
        own_files(folder, base, tmp_path / "own")


def test_more_tokens_than_the_base_has_rows_are_refused(
    candidate: Path, base: BaseModel, tmp_path: Path
) -> None:
    tokenizer = json.loads((candidate / "tokenizer.json").read_text())
    extra = {**tokenizer["added_tokens"][0], "id": 9999, "content": "<new>"}
    edit(candidate / "tokenizer.json", added_tokens=[*tokenizer["added_tokens"], extra])
    with pytest.raises(IntegrityError, match=r"token id is 9999, but base model tiny has \d+"):
        own_files(candidate, base, tmp_path / "own")


def test_a_template_that_is_no_text_is_damaged(
    candidate: Path, base: BaseModel, tmp_path: Path
) -> None:
    (candidate / "chat_template.jinja").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(IntegrityError, match="not UTF-8"):
        own_files(candidate, base, tmp_path / "own")


def listed(candidate: Path, *names: str) -> None:
    (candidate / "chat_template.jinja").unlink()
    templates = [{"name": name, "template": f"{name} {TEMPLATE}"} for name in names]
    edit(candidate / "tokenizer_config.json", chat_template=templates)


def test_of_several_templates_the_default_is_stored(
    candidate: Path, base: BaseModel, tmp_path: Path
) -> None:
    listed(candidate, "tool_use", "default")
    assert own_files(candidate, base, tmp_path / "own") is not None
    assert (tmp_path / "own" / "chat_template.jinja").read_text() == f"default {TEMPLATE}"
    expected = AutoTokenizer.from_pretrained(candidate).get_chat_template()
    assert default_template(candidate) == expected


def test_a_template_in_the_folder_of_templates_is_found(candidate: Path, tmp_path: Path) -> None:
    (candidate / "chat_template.jinja").unlink()
    (candidate / "additional_chat_templates").mkdir()
    (candidate / "additional_chat_templates" / "default.jinja").write_text(TEMPLATE)
    assert default_template(candidate) == TEMPLATE
    copy = tmp_path / "copy"
    copy.mkdir()
    keep_template(candidate, copy)
    assert (copy / "chat_template.jinja").read_text() == TEMPLATE


def test_templates_without_a_default_are_refused(candidate: Path) -> None:
    listed(candidate, "rag", "tool_use")
    with pytest.raises(UsageError, match="rag, tool_use, and none of them is the 'default'"):
        default_template(candidate)
    edit(candidate / "tokenizer_config.json", chat_template=[{"name": "default"}])
    with pytest.raises(IntegrityError, match="needs a name of its own and a template"):
        default_template(candidate)
