"""Bad input: each is refused with both sides named, and nothing is loaded or registered."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import mlflow
import pytest
from safetensors.numpy import load_file, save_file
from tiny_models import build_tiny_adapter, build_tiny_model
from versions import log_version, registered

from llmops import flavor
from llmops.errors import IntegrityError, LlmopsError, NotFoundError, UsageError
from llmops.models import adapters, bases
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection, registry, tags


@pytest.fixture
def adapter(tiny_adapter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_adapter, tmp_path / "adapter"))


def flip(path: Path, position: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def stored(version: ModelVersion) -> Path:
    """The version's files in the store, which is a local folder here."""
    return Path(mlflow.artifacts.download_artifacts(version.uri))


def refused_to_log(adapter: Path, base: BaseModel, error: type[LlmopsError], says: str) -> None:
    with pytest.raises(error, match=says):
        log_version(adapter, base, "bot")
    assert registered() == ["tiny/1"]


def tensors_of(adapter: Path) -> tuple[Path, dict[str, Any]]:
    file = adapter / adapters.WEIGHTS
    return file, load_file(file)


@pytest.mark.parametrize(
    "file", ["adapter/adapter_model.safetensors", "adapter/adapter_config.json", "base.json"]
)
@pytest.mark.parametrize("position", [9, -9])
def test_a_flipped_byte_of_a_version(version: ModelVersion, file: str, position: int) -> None:
    flip(stored(version) / file, position)
    with pytest.raises(IntegrityError, match=r"differs from the recorded|damaged|MLmodel recorded"):
        resolve(version.uri)
    with pytest.raises((IntegrityError, mlflow.MlflowException)):
        mlflow.pyfunc.load_model(version.uri)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"]
)
def test_a_flipped_byte_of_the_base(version: ModelVersion, base: BaseModel, file: str) -> None:
    flip(base.directory / file)
    with pytest.raises(IntegrityError, match=f"expected digest {base.digest[:16]}…, found"):
        resolve(version.uri)


def test_a_flipped_byte_of_the_base_in_the_registry(version: ModelVersion, base: BaseModel) -> None:
    shutil.rmtree(base.directory)
    artifact = Path(mlflow.artifacts.download_artifacts("models:/tiny/1"))
    flip(artifact / "model" / "model.safetensors")
    with pytest.raises(IntegrityError, match=f"expected digest {base.digest[:16]}"):
        resolve(version.uri)
    assert not base.directory.exists(), "what was refused is not kept"


def test_a_flipped_byte_of_the_versions_own_tokenizer(
    base: BaseModel, tiny_model: Path, tiny_adapter: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    version = log_version(tiny_adapter, base, "bot", tokenizer=tokenizer)
    resolve(version.uri)
    (cached,) = Path(os.environ["LLMOPS_HOME"], "adapters").iterdir()
    flip(stored(version) / "tokenizer" / "chat_template.jinja", 3)
    shutil.rmtree(cached)
    with pytest.raises(IntegrityError, match="differs from the recorded"):
        resolve(version.uri)


@pytest.mark.parametrize("damage", ["flipped", "older layout"])
def test_a_damaged_copy_in_the_cache_is_fetched_again(
    version: ModelVersion, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    resolve(version.uri)
    (cached,) = Path(os.environ["LLMOPS_HOME"], "adapters").iterdir()
    if damage == "flipped":
        flip(cached / "adapter" / adapters.WEIGHTS)
    else:  # 0.1 laid the files directly into the folder
        for file in list((cached / "adapter").iterdir()):
            file.rename(cached / file.name)
        (cached / "adapter").rmdir()
    folder = resolve(version.uri).adapter_dir
    assert folder is not None
    assert adapters.content_digest(folder.parent) == cached.name
    assert f"fetching {version.uri} again" in capsys.readouterr().err


def test_the_adapter_of_another_base(base: BaseModel, tmp_path: Path) -> None:
    larger = build_tiny_model(tmp_path / "larger", hidden_size=64)
    adapter = build_tiny_adapter(larger, tmp_path / "foreign")
    refused_to_log(
        adapter,
        base,
        IntegrityError,
        r"does not fit its base tiny: 22 tensors have another shape, such as .* in the file",
    )


def test_another_rank(adapter: Path, base: BaseModel) -> None:
    config = json.loads((adapter / adapters.CONFIG).read_text())
    (adapter / adapters.CONFIG).write_text(json.dumps({**config, "r": 8}))
    refused_to_log(adapter, base, IntegrityError, r"\[4, 64\] in the file, \[8, 64\] in the model")


def test_another_rank_map(adapter: Path, base: BaseModel) -> None:
    config = json.loads((adapter / adapters.CONFIG).read_text())
    config["rank_pattern"] = {"q_proj": 2}
    (adapter / adapters.CONFIG).write_text(json.dumps(config))
    refused_to_log(
        adapter, base, IntegrityError, r"q_proj.*: \[4, 32\] in the file, \[2, 32\] in the model"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [("missing", "1 tensors .* not in the file"), ("extra", "1 tensors .* no place in the model")],
)
def test_missing_and_extra_keys(adapter: Path, base: BaseModel, change: str, says: str) -> None:
    file, tensors = tensors_of(adapter)
    name = next(iter(tensors))
    if change == "missing":
        del tensors[name]
    else:
        tensors["base_model.model.surprise.lora_A.weight"] = tensors[name]
    save_file(tensors, file, metadata={"format": "pt"})
    refused_to_log(adapter, base, IntegrityError, says)


def test_weights_that_are_not_numbers(adapter: Path, base: BaseModel) -> None:
    file, tensors = tensors_of(adapter)
    name = sorted(tensors)[2]
    tensors[name][0, 0] = float("nan")
    save_file(tensors, file, metadata={"format": "pt"})
    refused_to_log(adapter, base, IntegrityError, f"{name} holds NaN or infinite weights")


def test_pickled_adapters(adapter: Path, base: BaseModel) -> None:
    (adapter / adapters.WEIGHTS).rename(adapter / "adapter_model.bin")
    refused_to_log(adapter, base, UsageError, r"adapter_model\.bin may hold pickled code")


def test_a_truncated_header(adapter: Path, base: BaseModel) -> None:
    file = adapter / adapters.WEIGHTS
    file.write_bytes(struct.pack("<Q", 1 << 50) + file.read_bytes()[8:])
    refused_to_log(
        adapter, base, IntegrityError, r"adapter_model\.safetensors: damaged safetensors"
    )


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"peft_type": "PREFIX_TUNING"}'])
def test_a_damaged_or_foreign_configuration(adapter: Path, base: BaseModel, content: str) -> None:
    (adapter / adapters.CONFIG).write_text(content)
    refused_to_log(adapter, base, LlmopsError, r"adapter_config\.json: (damaged|peft_type is)")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "initialised with pissa"),
    ],
)
def test_what_vllm_refuses_is_logged_and_flagged(
    base: BaseModel, tiny_model: Path, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = {"r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM", **change}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(**config))
    version = log_version(model, base, "bot")
    expected = connection.client().get_logged_model(version.model_id).tags[tags.SERVABLE]
    assert expected.startswith("no: ")
    assert reason in expected
    assert registry.version_tag("bot", version.version, tags.SERVABLE) == expected


def test_what_vllm_serves_says_so_on_the_logged_model_only(version: ModelVersion) -> None:
    assert connection.client().get_logged_model(version.model_id).tags[tags.SERVABLE] == "yes"
    assert registry.version_tag("bot", "1", tags.SERVABLE) is None


@pytest.mark.parametrize("source", ["../../tiny", "/etc", "models:/../1"])
def test_a_base_reference_that_leads_elsewhere(version: ModelVersion, source: str) -> None:
    """Also if `MLmodel` was changed with it, so that both agree."""
    import yaml

    from llmops.files import digest

    folder = stored(version)
    pin = json.loads((folder / "base.json").read_text())
    text = json.dumps({**pin, "source": source})
    (folder / "base.json").write_text(text)
    mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    mlmodel["flavors"]["llmops"]["pin_digest"] = digest.of_bytes(text.encode())
    (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))
    with pytest.raises(
        IntegrityError, match=f"source is {source!r}, allowed: models:/NAME/VERSION"
    ):
        resolve(version.uri)


def test_a_link_out_of_a_model_directory(version: ModelVersion, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(stored(version), tmp_path / "copy"))
    weights = folder / "adapter" / adapters.WEIGHTS
    weights.rename(tmp_path / "elsewhere.safetensors")
    weights.symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(IntegrityError, match=r"a symbolic link to .*elsewhere\.safetensors"):
        flavor.load_model(str(folder))


def test_a_link_out_of_the_bases_of_the_user(
    version: ModelVersion, base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    moved = base.directory.rename(tmp_path / "elsewhere")
    (shelf / "base").symlink_to(moved)
    connection.client().delete_registered_model("tiny")
    monkeypatch.setenv("LLMOPS_BASES", str(shelf))
    with pytest.raises(IntegrityError, match=r"shelf/base: a symbolic link to .*elsewhere"):
        resolve(version.uri)


def test_a_base_that_is_gone_everywhere(version: ModelVersion, base: BaseModel) -> None:
    shutil.rmtree(base.directory)
    connection.client().delete_registered_model("tiny")
    with pytest.raises(NotFoundError, match="tiny") as caught:
        resolve(version.uri)
    assert "Next:" in str(caught.value)
    assert bases.cache_dir(base.digest) == base.directory
