from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from llmops.errors import DataError
from llmops.train.dataset import conversations


def written(path: Path, *rows: dict[str, str]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_prompt_and_completion_are_turns_of_user_and_assistant(
    tmp_path: Path, tiny_model: Path
) -> None:
    path = written(tmp_path / "train.jsonl", {"id": "1", "prompt": "a", "completion": "b"})
    (row,) = conversations(path, AutoTokenizer.from_pretrained(tiny_model), 64)
    assert row == {
        "prompt": [{"role": "user", "content": "a"}],
        "completion": [{"role": "assistant", "content": "b"}],
    }


def test_examples_that_do_not_fit_are_refused_not_cut(tmp_path: Path, tiny_model: Path) -> None:
    path = written(
        tmp_path / "train.jsonl",
        {"id": "short", "prompt": "a", "completion": "b"},
        {"id": "long", "prompt": "a b " * 99, "completion": "b"},
    )
    with pytest.raises(DataError, match=r"1 example\(s\) exceed train.max_length=64 .* 'long'"):
        conversations(path, AutoTokenizer.from_pretrained(tiny_model), 64)


def test_examples_that_do_not_fit_may_be_left_out_and_are_counted(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short, long = ({"id": text[:1], "prompt": text, "completion": "b"} for text in ("a", "c " * 99))
    path = written(tmp_path / "train.jsonl", short, long, short)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    assert len(conversations(path, tokenizer, 64, drop=True)) == 2
    assert "train: left out 1 of 3 train examples over 64 tokens" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"train\.max_length=16"):
        conversations(written(tmp_path / "all.jsonl", long), tokenizer, 16, drop=True)


def test_a_conversation_is_its_turns_and_its_answer(tmp_path: Path, tiny_model: Path) -> None:
    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}]
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"id": "1", "messages": turns, "completion": "b"}))
    (row,) = conversations(path, AutoTokenizer.from_pretrained(tiny_model), 64)
    assert row == {"prompt": turns, "completion": [{"role": "assistant", "content": "b"}]}
