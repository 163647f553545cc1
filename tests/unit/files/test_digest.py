from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from llmops.files import digest


def test_a_file_is_hashed_whole(tmp_path: Path) -> None:
    content = b"x" * digest.CHUNK + b"the second chunk"
    (tmp_path / "f").write_bytes(content)
    assert digest.of_file(tmp_path / "f") == hashlib.sha256(content).hexdigest()
    assert digest.of_bytes(content) == hashlib.sha256(content).hexdigest()


def test_a_record_is_hashed_as_canonical_json() -> None:
    canonical = b'{"a":[1,0.5,null],"b":"\\u00e9"}'
    assert digest.of_record({"b": "é", "a": [1, 0.5, None]}) == digest.of_bytes(canonical)
    assert digest.of_record({"a": 1}) != digest.of_record({"a": 2})
    assert digest.of_record({"p": Path("a/b")}) == digest.of_record({"p": str(Path("a/b"))})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_record_that_json_cannot_say_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest.of_record({"score": number})


def model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "tokenizer.model").write_bytes(b"sp")
    (folder / "merges.txt").write_text("a b")
    return folder


def test_what_does_not_change_a_model_does_not_change_its_digest(tmp_path: Path) -> None:
    one, other = model(tmp_path / "one"), model(tmp_path / "other")
    (other / "README.md").write_text("written by another tool")
    (other / ".manifest.json").write_text("{}")
    (other / "checkpoint-3.json").mkdir()
    assert digest.of_model(one) == digest.of_model(other)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "chat_template.jinja"])
def test_every_file_that_defines_a_model_counts(tmp_path: Path, name: str) -> None:
    one, other = model(tmp_path / "one"), model(tmp_path / "other")
    (other / name).write_bytes((other / name).read_bytes() + b" ")
    assert digest.of_model(one) != digest.of_model(other)
    (other / name).unlink()
    assert digest.of_model(one) != digest.of_model(other)


def test_a_swap_of_contents_is_seen_but_the_order_of_files_is_not(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text("1")
    second.write_text("2")
    before = digest.of_files([first, second])
    assert digest.of_files([second, first]) == before
    first.write_text("2")
    second.write_text("1")
    assert digest.of_files([first, second]) != before


def test_the_digest_of_a_model_is_pinned(tmp_path: Path) -> None:
    # Versions in users' registries carry these digests: another formula would orphan them all.
    files = {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in model(tmp_path / "m").iterdir()
    }
    text = json.dumps(files, sort_keys=True, separators=(",", ":"))
    assert digest.of_model(tmp_path / "m") == hashlib.sha256(text.encode()).hexdigest()
