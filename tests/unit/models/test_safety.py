from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from llmops.errors import IntegrityError, NotFoundError, UsageError
from llmops.models import safety


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_whole_model_passes(model: Path) -> None:
    safety.check_model(model)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "x.pkl", "last.ckpt"])
def test_pickle_is_refused(model: Path, name: str) -> None:
    (model / name).write_bytes(b"\x80\x04")
    with pytest.raises(UsageError, match=f"{name} may hold pickled code"):
        safety.check_model(model)


@pytest.mark.parametrize("name", ["training_args.bin", "optimizer.pt", "rng_state_0.pth"])
def test_what_a_trainer_leaves_is_not_weights(model: Path, name: str) -> None:
    (model / name).write_bytes(b"\x80\x04")
    safety.check_model(model)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_refused(model: Path, name: str) -> None:
    edit(model / name, auto_map={"AutoModelForCausalLM": "modeling_evil.Evil"})
    with pytest.raises(UsageError, match=rf"{name}: needs remote code"):
        safety.check_model(model)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_half_a_model_is_refused(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(NotFoundError, match="not a model directory"):
        safety.check_model(model)


def test_a_shard_that_the_index_names_must_be_there(model: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(NotFoundError, match="00001-of-00002"):
        safety.check_model(model)


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_refused(model: Path, keep: int) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(IntegrityError, match=r"model\.safetensors: damaged safetensors file"):
        safety.check_model(model)


def test_a_header_longer_than_the_file_is_refused(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes(struct.pack("<Q", 1 << 40) + file.read_bytes()[8:])
    with pytest.raises(IntegrityError, match="damaged safetensors file"):
        safety.check_model(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_numbers_are_refused_by_name(model: Path, value: float) -> None:
    file = model / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][3] = value
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"model\.norm\.weight holds NaN or infinite"):
        safety.check_model(model)


def test_a_vocabulary_beyond_the_embedding_is_refused_with_both_numbers(model: Path) -> None:
    rows = json.loads((model / "config.json").read_text())["vocab_size"]
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append(
        {**tokenizer["added_tokens"][0], "id": rows, "content": "<new>"}
    )
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(IntegrityError, match=rf"token id is {rows}, but .* has {rows} embedding"):
        safety.check_model(model)


@pytest.mark.parametrize("content", ["", "{", "[1]", "null"])
def test_a_configuration_that_is_no_json_object_is_named(model: Path, content: str) -> None:
    (model / "config.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"config\.json: damaged"):
        safety.check_model(model)


def test_a_link_that_leads_out_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (model / "inside.json").symlink_to(model / "config.json")
    safety.check_inside(model)
    (model / "outside.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(IntegrityError, match=r"outside\.json: a symbolic link to .*secret\.json"):
        safety.check_inside(model)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "outside" / "secret.txt"
    file.parent.mkdir()
    file.write_text("secret")
    return file


def ways_out(model: Path, secret: Path) -> None:
    (model / "vocab.txt").symlink_to(secret)


def two_links(model: Path, secret: Path) -> None:
    (model / "a").symlink_to(secret)
    (model / "vocab.txt").symlink_to("a")


def relative(model: Path, secret: Path) -> None:
    (model / "chat_template.jinja").unlink(missing_ok=True)
    (model / "chat_template.jinja").symlink_to("../outside/secret.txt")


def a_folder(model: Path, secret: Path) -> None:
    (model / "additional_chat_templates").symlink_to(secret.parent)


def in_a_folder(model: Path, secret: Path) -> None:
    (model / "additional_chat_templates").mkdir()
    (model / "additional_chat_templates" / "rag.jinja").symlink_to(secret)


def sibling_with_the_same_beginning(model: Path, secret: Path) -> None:
    twin = model.with_name(model.name + "-twin")
    twin.mkdir()
    (twin / "vocab.txt").write_text("secret")
    (model / "vocab.txt").symlink_to(twin / "vocab.txt")


def through_itself(model: Path, secret: Path) -> None:
    (model / "here").symlink_to(".")
    (model / "vocab.txt").symlink_to("here/../outside/secret.txt")


@pytest.mark.parametrize(
    "lead_out",
    [
        ways_out,
        two_links,
        relative,
        a_folder,
        in_a_folder,
        sibling_with_the_same_beginning,
        through_itself,
    ],
)
def test_no_link_leads_out_of_a_folder(
    model: Path, secret: Path, lead_out: Callable[[Path, Path], None]
) -> None:
    lead_out(model, secret)
    for check in (safety.check_links, safety.check_code):
        with pytest.raises(IntegrityError, match=r"a symbolic link to .*: refused") as refused:
            check(model)
        assert "cp --remove-destination" in str(refused.value.next_command)


def test_links_that_stay_inside_are_read(model: Path, tmp_path: Path) -> None:
    (model / "a").symlink_to("tokenizer.json")
    (model / "vocab.json").symlink_to("a")
    (tmp_path / "link").symlink_to(model)
    for folder in (model, tmp_path / "link"):
        safety.check_links(folder)
        safety.check_code(folder)


def test_the_cache_of_the_hub_is_read_and_only_its_blobs(tmp_path: Path, secret: Path) -> None:
    repository = tmp_path / "hub" / "models--owner--name"
    snapshot = repository / "snapshots" / "0a1b2c"
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "blobs" / "abc").write_text("{}")
    (repository / "refs" / "main").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    safety.check_links(snapshot)
    (snapshot / "vocab.json").symlink_to("../../refs/main")
    with pytest.raises(IntegrityError, match="refused"):
        safety.check_links(snapshot)
    (snapshot / "vocab.json").unlink()
    (repository / "blobs" / "evil").symlink_to(secret)
    (snapshot / "vocab.json").symlink_to("../../blobs/evil")
    with pytest.raises(IntegrityError, match=r"secret\.txt"):
        safety.check_links(snapshot)


def test_what_is_no_file_is_refused_before_it_is_read(model: Path) -> None:
    os.mkfifo(model / "adapter_config.json")
    with pytest.raises(IntegrityError, match="neither a file nor a folder"):
        safety.check_code(model)


def test_a_loop_of_links_is_refused(model: Path) -> None:
    (model / "a").symlink_to("b")
    (model / "b").symlink_to("a")
    with pytest.raises(NotFoundError, match="broken symbolic link"):
        safety.check_links(model)
    with pytest.raises(IntegrityError, match="a symbolic link"):
        safety.check_inside(model)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("chat_template.jinja", 1_000_001),
        ("additional_chat_templates/rag.jinja", 1_000_001),
        ("generation_config.json", 10_000_001),
    ],
)
def test_a_file_that_is_far_too_large_is_refused_unread(model: Path, name: str, size: int) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    with (model / name).open("wb") as file:
        file.truncate(size)
    with pytest.raises(IntegrityError, match=f"{name}: {size:,} bytes; such a file may have"):
        safety.check_code(model)


def test_a_large_vocabulary_is_read(model: Path) -> None:
    with (model / "tokenizer.json").open("a") as file:
        file.write(" " * 11_000_000)
    safety.check_model(model)


def test_a_configuration_nested_too_deeply_is_damaged(model: Path) -> None:
    (model / "config.json").write_text('{"a":' * 100_000)
    with pytest.raises(IntegrityError, match=r"config\.json: damaged"):
        safety.check_code(model)


@pytest.mark.parametrize(
    "name",
    [
        "optimizer.bin",
        "scheduler.bin",
        "sampler_1.bin",
        "random_states_0.pkl",
        "pytorch_model_fsdp.bin",
        "zero_pp_rank_0_mp_rank_00_optim_states.pt",
        "value_head.bin",
        "recipe_state.pt",
    ],
)
def test_the_training_state_of_other_trainers_is_not_weights(model: Path, name: str) -> None:
    (model / name).write_bytes(b"\x80\x04")
    safety.check_model(model)


def test_beside_an_adapter_in_safetensors_no_pickle_matters(
    tiny_adapter: Path, tmp_path: Path
) -> None:
    adapter = Path(shutil.copytree(tiny_adapter, tmp_path / "adapter"))
    for name in ("adapter_model.pt", "adapter_0.pt", "state.pkl"):
        (adapter / name).write_bytes(b"\x80\x04")
    (adapter / "global_step10").mkdir()
    safety.check_code(adapter)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UsageError, match=r"adapter_model\.bin.* may hold pickled code"):
        safety.check_code(adapter)
