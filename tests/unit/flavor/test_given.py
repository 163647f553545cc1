"""Whatever a user hands in becomes a directory; nothing is registered for it yet."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from damage import edit
from sides import trained

from llmops.errors import IntegrityError, LlmopsError, NotFoundError, UsageError
from llmops.flavor.given import receive
from llmops.flavor.options import SourceOptions
from llmops.models import adapters

NOTHING = SourceOptions()


def test_an_adapter_directory_stays_where_it_is(tiny_adapter: Path, tmp_path: Path) -> None:
    given = receive(str(tiny_adapter), tmp_path, NOTHING)
    assert (given.directory, given.live, given.tokenizer) == (tiny_adapter, None, None)
    assert given.origin == "directory:adapter"
    assert given.config is not None
    assert given.base(None) == given.config["base_model_name_or_path"]
    assert given.base("other") == "other", "what the user names goes first"
    assert list(tmp_path.iterdir()) == []


def test_a_live_adapter_is_saved_alone(tiny_model: Path, tmp_path: Path) -> None:
    model = trained(tiny_model)
    given = receive(model, tmp_path, NOTHING)
    assert given.live is model
    assert {adapters.CONFIG, adapters.WEIGHTS} <= {p.name for p in given.directory.iterdir()}
    assert not (given.directory / "model.safetensors").exists()


def test_a_whole_model_has_no_base(tiny_model: Path, tmp_path: Path) -> None:
    given = receive(tiny_model, tmp_path, SourceOptions(tokenizer=str(tiny_model)))
    assert (given.config, given.tokenizer, given.base(None)) == (None, tiny_model, None)
    with pytest.raises(UsageError, match=r"base='tiny' was given, but .* only an adapter"):
        given.base("tiny")


def test_an_adapter_that_names_no_base_needs_one(tiny_adapter: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_adapter, tmp_path / "copy"))
    edit(copy / adapters.CONFIG, base_model_name_or_path=None)
    given = receive(copy, tmp_path / "folder", NOTHING)
    with pytest.raises(UsageError, match="names no base model") as caught:
        given.base(None)
    assert "base='NAME'" in str(caught.value)
    assert given.base("tiny") == "tiny"


def test_a_damaged_adapter_is_refused_before_its_base_is_looked_for(
    tiny_adapter: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_adapter, tmp_path / "copy"))
    (copy / adapters.WEIGHTS).write_bytes(b"short")
    with pytest.raises(IntegrityError, match="damaged safetensors"):
        receive(copy, tmp_path / "folder", NOTHING)


@pytest.mark.parametrize(
    ("model", "options", "error", "says"),
    [
        ("nowhere", {}, NotFoundError, "'nowhere': neither a directory nor a hub id"),
        (7, {}, UsageError, "a int cannot be logged; allowed: a PeftModel"),
        (None, {"tokenizer": "nowhere"}, NotFoundError, "tokenizer 'nowhere': not a directory"),
        (None, {"tokenizer": 5}, UsageError, "received 5"),
    ],
)
def test_what_is_no_model_or_no_tokenizer_is_refused(
    tiny_model: Path,
    tmp_path: Path,
    model: Any,
    options: dict[str, Any],
    error: type[LlmopsError],
    says: str,
) -> None:
    with pytest.raises(error, match=says):
        receive(tiny_model if model is None else model, tmp_path, SourceOptions(**options))


@pytest.mark.parametrize("names", [("checkpoint-20", "checkpoint-100"), ("policy", "reference")])
def test_folders_that_hold_the_adapters_are_named(
    tiny_adapter: Path, tmp_path: Path, names: tuple[str, str]
) -> None:
    for name in names:
        shutil.copytree(tiny_adapter, tmp_path / "out" / name)
    with pytest.raises(NotFoundError, match=f"its folders do: {', '.join(names)}") as raised:
        receive(tmp_path / "out", tmp_path, NOTHING)
    assert names[-1] in str(raised.value.next_command), "the last one is suggested"


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
def test_an_adapter_inside_a_transformers_model_is_saved_as_peft_saves_it(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.load_adapter(str(tiny_adapter), "first")
    given = receive(model, tmp_path, NOTHING)
    assert given.live is model
    want, got = (load_file(folder / adapters.WEIGHTS) for folder in (tiny_adapter, given.directory))
    assert want.keys() == got.keys()
    assert all((want[key] == got[key]).all() for key in want)
    model.load_adapter(str(tiny_adapter), "second")
    with pytest.raises(UsageError, match="several adapters"):
        receive(model, tmp_path / "again", NOTHING)


def test_the_revision_belongs_to_the_base_that_the_file_names(
    tiny_adapter: Path, tmp_path: Path
) -> None:
    adapter = Path(shutil.copytree(tiny_adapter, tmp_path / "adapter"))
    edit(adapter / adapters.CONFIG, base_model_name_or_path="me/tiny", revision="v1")
    given = receive(adapter, tmp_path, NOTHING)
    assert given.revision(given.base(None)) == "v1"
    assert given.revision("me/tiny") == "v1"
    assert given.revision("other") is None
