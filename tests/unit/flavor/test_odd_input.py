"""Odd but possible input: refused in words before anything is stored, or simply handled."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from safetensors.numpy import load_file, save_file
from versions import log_version, logged_models, registered

from llmops import flavor
from llmops.errors import ConfigError, IntegrityError, LlmopsError, NotFoundError, UsageError
from llmops.files import home, staging
from llmops.models import adapters, bases, inventory
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelVersion
from llmops.store import registry


def edit(file: Path, **entries: Any) -> None:
    content = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps({**content, **entries}))


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture
def adapter(tiny_adapter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_adapter, tmp_path / "adapter"))


def test_a_name_with_dots(base: BaseModel, tiny_adapter: Path, tmp_path: Path) -> None:
    version = log_version(tiny_adapter, base, "org.bot-1.5")
    assert version.name == "org.bot-1.5"
    assert any(model.name.startswith("org-bot-1-5-r4-") for model in logged_models())
    other = Path(shutil.copytree(base.directory, tmp_path / "qwen2.5"))
    edit(other / "config.json", bos_token_id=0)
    assert flavor.add_base(other).name == "qwen2.5"


@pytest.mark.parametrize("alias", ["v3", "latest", "two words", ""])
def test_an_alias_that_the_registry_refuses(
    base: BaseModel, tiny_adapter: Path, alias: str
) -> None:
    with pytest.raises(ConfigError, match="alias "):
        log_version(tiny_adapter, base, "bot", alias=alias)
    assert registered() == ["tiny/1"]


def test_an_alias_needs_a_version(base: BaseModel, tiny_adapter: Path) -> None:
    with pytest.raises(UsageError, match="alias='champion' needs registered_model_name"):
        flavor.log_model(tiny_adapter, base=base, alias="champion")
    assert len(logged_models()) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model_config": {"dtype": "float17"}}, "unknown dtype 'float17'"),
        ({"model_config": {"dtyp": "float16"}}, "model_config: unknown dtyp; allowed: dtype"),
        ({"model_config": {"device": "tpu"}}, "unknown device 'tpu'"),
        ({"pip_requirements": "torch"}, "pip_requirements must be a list"),
        ({"extra_files": ["a"]}, "unknown argument extra_files; allowed"),
        ({"tokenizer": 5}, "tokenizer must be a tokenizer or a directory with one, received 5"),
    ],
)
def test_what_would_fail_later_is_refused_when_it_is_logged(
    base: BaseModel, tiny_adapter: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        log_version(tiny_adapter, base, "bot", **options)
    assert registered() == ["tiny/1"]


def test_no_value_is_the_default(version: ModelVersion) -> None:
    config = {"dtype": None, "device": None, "attention": None}
    assert mlflow.pyfunc.load_model(version.uri, model_config=config).predict(["a"])


def test_the_parameters_of_the_run_are_those_of_its_model(
    base: BaseModel, tiny_adapter: Path
) -> None:
    with mlflow.start_run():
        mlflow.log_params({"learning_rate": 0.1, "seed": 1})
        version = log_version(tiny_adapter, base, "bot", params={"seed": 2})
    (logged,) = [m for m in logged_models() if m.model_id == version.model_id]
    assert logged.params == {"learning_rate": "0.1", "seed": "2"}


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"num_beams": 4}, UsageError, "sets num_beams, which llmops does not support"),
        ({"no_repeat_ngram_size": 3, "min_length": 9}, UsageError, "sets min_length, no_repeat"),
        ({"eos_token_id": "x"}, IntegrityError, "eos_token_id must be token ids"),
        ({"repetition_penalty": "x"}, IntegrityError, "repetition_penalty must be a number"),
    ],
)
def test_generation_settings_that_llmops_does_not_do(
    base: BaseModel,
    model: Path,
    adapter: Path,
    settings: dict[str, Any],
    error: type[LlmopsError],
    says: str,
) -> None:
    edit(model / "generation_config.json", **settings)
    edit(adapter / "generation_config.json", **settings)
    with pytest.raises(error, match=says):
        log_version(adapter, base, "bot")
    with pytest.raises(error, match=says):
        log_version(model, None, "bot")
    with pytest.raises(error, match=says):
        flavor.add_base(model, "another")
    assert registered() == ["tiny/1"]


def test_harmless_generation_settings(model: Path, store: str) -> None:
    edit(
        model / "generation_config.json",
        do_sample=True,
        top_k=3,
        return_dict_in_generate=True,
        num_beams=1,
    )
    version = log_version(model, None, "bot")
    assert flavor.load_model(version.uri).engine.context == 512


def _cut_shape(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in sorted(tensors) if "q_proj" in name)
    save_file({**tensors, name: tensors[name][:4].copy()}, file, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (_cut_shape, IntegrityError, "weights whose shape differs"),
        (
            lambda folder: edit(folder / "config.json", num_hidden_layers=9),
            IntegrityError,
            "lacks weights",
        ),
        (
            lambda folder: edit(folder / "config.json", vocab_size="many"),
            IntegrityError,
            "vocab_size must be a whole number",
        ),
        (
            lambda folder: edit(folder / "config.json", model_type="nothing"),
            IntegrityError,
            "cannot be loaded",
        ),
        (
            lambda folder: [f.unlink() for f in folder.glob("tokenizer*")],
            UsageError,
            "has no tokenizer",
        ),
        (
            lambda folder: (folder / "tokenizer.json").write_text("{}"),
            IntegrityError,
            "tokenizer cannot be loaded",
        ),
        (
            lambda folder: (folder / "chat_template.jinja").write_text("{% if %}"),
            IntegrityError,
            "chat template is damaged",
        ),
        (
            lambda folder: (folder / "merges.txt").symlink_to("nowhere"),
            NotFoundError,
            "a broken symbolic link to nowhere",
        ),
    ],
)
def test_a_model_that_could_not_be_loaded_is_no_base_and_no_version(
    store: str,
    model: Path,
    change: Callable[[Path], Any],
    error: type[LlmopsError],
    says: str,
) -> None:
    change(model)
    with pytest.raises(error, match=says) as told:
        flavor.add_base(model)
    assert str(model) in str(told.value), "the user's directory, not our copy of it"
    with pytest.raises(error, match=says):
        log_version(model, None, "bot")
    assert registered() == []


@pytest.mark.usefixtures("one_second")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lora_alpha": "x"}, "adapter_config.json"),
        ({"lora_alpha": float("nan")}, "lora_alpha must be finite"),
        ({"lora_alpha": 1e308}, "lora_alpha must be finite and at most 1e\\+09, received 1e"),
        ({"lora_alpha": 10**400}, "lora_alpha must be finite and at most"),
        ({"rank_pattern": {"q_proj": -(10**30)}}, "rank_pattern must be finite and at most"),
        (
            {"rank_pattern": {r"(\w+\.?)+\d!": 4}},
            "pattern of module names: takes more than 1 s",
        ),
        ({"target_modules": r"(\w+\.?)+\d!"}, "pattern of module names: takes more than 1 s"),
        ({"alpha_pattern": {"q_proj": float("nan")}}, "alpha_pattern must be finite"),
        ({"r": "four"}, "adapter_config.json"),
        ({"target_modules": 5}, "adapter_config.json"),
        ({"rank_pattern": [1]}, "adapter_config.json"),
    ],
)
def test_odd_values_in_an_adapter_configuration(
    base: BaseModel, adapter: Path, change: dict[str, Any], says: str
) -> None:
    edit(adapter / "adapter_config.json", **change)
    with pytest.raises(LlmopsError, match=says):
        log_version(adapter, base, "bot")
    assert registered() == ["tiny/1"]


def test_an_adapter_of_whole_numbers(base: BaseModel, adapter: Path) -> None:
    file = adapter / adapters.WEIGHTS
    save_file({name: (t * 100).astype("int8") for name, t in load_file(file).items()}, file)
    with pytest.raises(IntegrityError, match=r"is int8; allowed: float64, float32"):
        log_version(adapter, base, "bot")


def test_a_saved_full_model_is_read_whole_whatever_a_manifest_in_it_says(
    store: str, tiny_model: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    flavor.save_model(tiny_model, saved)
    flavor.load_model(str(saved))
    weights = saved / bases.MODEL_FOLDER / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    stamp = {p.name: [p.stat().st_size, p.stat().st_mtime_ns] for p in weights.parent.iterdir()}
    (weights.parent / bases.MANIFEST).write_text(json.dumps({"files": stamp}))
    with pytest.raises(IntegrityError, match="expected digest"):
        flavor.load_model(str(saved))


def test_a_disk_without_hard_links(
    store: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert flavor.add_base(tiny_model, "linkless").name == "linkless"


def test_a_directory_with_a_backslash_in_its_name(store: str, model: Path) -> None:
    odd = model.rename(model.with_name("a\\b"))
    assert flavor.add_base(odd, "odd").origin is None


@pytest.mark.parametrize("reference", ["a\0b", "~nobody-here/model", "x" * 5000])
def test_what_cannot_be_a_path(store: str, reference: str) -> None:
    for attempt in (flavor.add_base, flavor.log_model, flavor.load_model):
        with pytest.raises(LlmopsError):
            attempt(reference)


def test_an_adapter_is_no_base(store: str, tiny_adapter: Path) -> None:
    with pytest.raises(UsageError, match="an adapter, not a base model"):
        flavor.add_base(tiny_adapter)


def test_listing_while_others_work(base: BaseModel) -> None:
    stop = time.monotonic() + 2

    def work() -> None:
        while time.monotonic() < stop:
            with staging.staging() as folder:
                (folder / "a").write_text("x")
                home.write_whole(home.home() / "shared.json", "{}")

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    while time.monotonic() < stop:
        assert {item.kind for item in inventory.items()} <= {"base", "leftover"}
    for worker in workers:
        worker.join()
    assert not list(home.home().glob("*.tmp"))


def test_mlflow_s_word_for_the_newest_version(base: BaseModel, version: ModelVersion) -> None:
    assert registry.parse("models:/bot/latest") == ("bot", "1")
    with pytest.raises(NotFoundError, match="no such model"):
        registry.parse("models:/nobody/latest")


def test_a_name_alone_is_a_base_model(base: BaseModel) -> None:
    assert resolve(base.name).base == base
    with pytest.raises(NotFoundError, match="'nobody': no base model with this name") as refused:
        resolve("nobody")
    assert refused.value.next_command == "llmops base ls"


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer.json", "README.md"])
def test_no_link_out_of_a_folder_is_followed(
    base: BaseModel, adapter: Path, model: Path, tmp_path: Path, name: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    attempts: list[tuple[Path, Callable[[], Any]]] = [
        (adapter, lambda: log_version(adapter, base, "bot")),
        (model, lambda: flavor.add_base(model)),
        (model, lambda: flavor.log_model(model, registered_model_name="bot")),
    ]
    for folder, attempt in attempts:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(secret)
        with pytest.raises(IntegrityError, match=f"{name}: a symbolic link to {secret}"):
            attempt()
        (folder / name).unlink()
    tokenizer = Path(shutil.copytree(base.directory, tmp_path / "tokenizer"))
    (tokenizer / "chat_template.jinja").unlink(missing_ok=True)
    (tokenizer / "chat_template.jinja").symlink_to(secret)
    with pytest.raises(IntegrityError, match="symbolic link"):
        flavor.log_model(adapter, base=base, tokenizer=tokenizer, registered_model_name="bot")
    assert registered() == ["tiny/1"]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "takes"),
        ("{{ 'a' * 5000000000 }}", "needs more than 1 GiB"),
        ("x" * 1_000_001, "1,000,001 bytes; such a file may have 1,000,000"),
    ],
    ids=["endless", "gigabytes", "long"],
)
@pytest.mark.usefixtures("one_second")
def test_a_template_that_would_hang_or_fill_the_memory_is_not_stored(
    base: BaseModel, adapter: Path, model: Path, template: str, says: str
) -> None:
    for folder in (adapter, model):
        (folder / "chat_template.jinja").write_text(template)
    for attempt in (
        lambda: log_version(adapter, base, "bot"),
        lambda: flavor.log_model(model, registered_model_name="bot"),
        lambda: flavor.add_base(model, "other"),
    ):
        with pytest.raises(IntegrityError, match=says):
            attempt()
    assert registered() == ["tiny/1"]
