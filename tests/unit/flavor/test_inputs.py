"""Every form a model can have when it is logged comes back with the same logits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_models import build_tiny_adapter, build_tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from versions import log_version, registered

from llmops import flavor
from llmops.errors import LlmopsError, NotFoundError, UsageError
from llmops.models import adapters, bases
from llmops.store import connection, registry

IDS = [[5, 6, 7, 8, 9]]

LOGITS = """
import sys, torch
from llmops import flavor
*uris, out = sys.argv[1:]
logits = []
with torch.no_grad():
    for uri in uris:
        model = flavor.load_model(uri).engine.model
        logits.append(model(torch.tensor([[5, 6, 7, 8, 9]])).logits)
torch.save(logits, out)
"""


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.tensor(IDS)).logits


def loaded_elsewhere(uris: list[str], tmp_path: Path) -> list[torch.Tensor]:
    """Logits of versions in a new process, on a machine that has nothing but the registry."""
    out = tmp_path / "logits.pt"
    home = tmp_path / "other-machine"
    command = [sys.executable, "-W", "ignore", "-c", LOGITS, *uris, str(out)]
    done = subprocess.run(
        command,
        env={**os.environ, "LLMOPS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(torch.load(out))


def lora(model: Any, **options: Any) -> PeftModel:
    """A live PeftModel whose adapter is not zero."""
    config = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "init_lora_weights": False}
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **{**config, **options}))
    return perturbed(tuned)


def perturbed(model: Any) -> Any:
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture
def gone(tmp_path: Path) -> Path:
    """A base directory that is deleted before the version is loaded."""
    return build_tiny_model(tmp_path / "gone" / "tiny", seed=7)


def from_live_peft(gone: Path) -> tuple[Any, Any]:
    model = lora(AutoModelForCausalLM.from_pretrained(gone))
    return model, {"base": str(gone)}


def from_live_peft_without_naming_the_base(gone: Path) -> tuple[Any, Any]:
    return lora(AutoModelForCausalLM.from_pretrained(gone)), {}


def from_dora(gone: Path) -> tuple[Any, Any]:
    return lora(AutoModelForCausalLM.from_pretrained(gone), use_dora=True), {}


def from_pissa(gone: Path) -> tuple[Any, Any]:
    return lora(AutoModelForCausalLM.from_pretrained(gone), init_lora_weights="pissa"), {}


def from_modules_to_save(gone: Path) -> tuple[Any, Any]:
    base = AutoModelForCausalLM.from_pretrained(gone)
    return lora(base, target_modules=["q_proj"], modules_to_save=["lm_head"]), {}


def from_full_model(gone: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(gone)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return perturbed(model), {"tokenizer": AutoTokenizer.from_pretrained(gone)}


def from_merged_model(gone: Path) -> tuple[Any, Any]:
    model = lora(AutoModelForCausalLM.from_pretrained(gone)).merge_and_unload()
    return model, {"tokenizer": str(gone)}


def from_directory(gone: Path) -> tuple[Any, Any]:
    return AutoModelForCausalLM.from_pretrained(gone), {"logged": gone}


def from_adapter_directory(gone: Path) -> tuple[Any, Any]:
    adapter = build_tiny_adapter(gone, gone.parent / "adapter")
    live = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(gone), adapter)
    return live, {"logged": adapter, "base": str(gone)}


FORMS: tuple[Callable[[Path], tuple[Any, Any]], ...] = (
    from_live_peft,
    from_live_peft_without_naming_the_base,
    from_dora,
    from_pissa,
    from_modules_to_save,
    from_full_model,
    from_merged_model,
    from_directory,
    from_adapter_directory,
)


def test_every_form_comes_back_bit_for_bit_in_a_new_process_without_its_base_directory(
    store: str, gone: Path, tmp_path: Path
) -> None:
    expected, versions = [], []
    for make in FORMS:
        model, options = make(gone)
        expected.append(logits_of(model))
        logged, base = options.pop("logged", model), options.pop("base", None)
        versions.append(log_version(logged, base, "bot", **options))
    shutil.rmtree(gone.parent)
    found = loaded_elsewhere([version.uri for version in versions], tmp_path)
    worst = {
        make.__name__: float((f - e).abs().max())
        for make, f, e in zip(FORMS, found, expected, strict=True)
    }
    assert worst == dict.fromkeys(worst, 0.0)
    full = [make.__name__ for make, v in zip(FORMS, versions, strict=True) if not v.adapter_digest]
    assert full == ["from_full_model", "from_merged_model", "from_directory"]


def test_an_adapter_is_logged_without_reading_a_weight_of_the_base(
    store: str, gone: Path, tmp_path: Path
) -> None:
    adapter = build_tiny_adapter(gone, tmp_path / "adapter")
    base = flavor.add_base(gone, "tiny")
    weights = base.directory / "model.safetensors"
    # Opening it would fail: for the kernel it is a directory now.
    aside = weights.rename(tmp_path / "aside.safetensors")
    weights.mkdir()
    version = log_version(adapter, base, "bot")
    weights.rmdir()
    aside.rename(weights)
    assert flavor.load_model(version.uri).files.adapter_digest == version.adapter_digest


def test_one_of_several_adapters(store: str, gone: Path, tmp_path: Path) -> None:
    model = lora(AutoModelForCausalLM.from_pretrained(gone))
    model.add_adapter("second", LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    with pytest.raises(UsageError, match=r"several adapters \(default, second\)"):
        log_version(model, None, "bot")
    with pytest.raises(UsageError, match=r"adapter_name='third': the model has default, second"):
        log_version(model, None, "bot", adapter_name="third")
    uris = [log_version(model, None, "bot", adapter_name=n).uri for n in ("default", "second")]
    for name, loaded in zip(("default", "second"), flavor.load_models(uris), strict=True):
        model.set_adapter(name)
        loaded.engine.scheduler.activate(loaded.files.adapter_digest)
        assert torch.equal(logits_of(loaded.engine.model), logits_of(model))


def test_a_live_model_over_other_weights_than_its_base_is_refused(store: str, gone: Path) -> None:
    # As after training with `bias` or an unfrozen layer: the adapter alone is not the model.
    model = lora(AutoModelForCausalLM.from_pretrained(gone))
    model.get_base_model().model.norm.weight.data[0] += 1
    with pytest.raises(LlmopsError, match=r"differs from its base tiny in model\.norm\.weight"):
        log_version(model, str(gone), "bot")
    assert registered() == ["tiny/1"]


def test_a_live_model_in_another_precision_is_its_base(store: str, gone: Path) -> None:
    model = lora(AutoModelForCausalLM.from_pretrained(gone, dtype=torch.bfloat16))
    assert log_version(model, str(gone), "bot").adapter_digest is not None


def test_the_base_is_stored_once_for_many_versions(
    store: str, tiny_model: Path, tiny_adapter: Path
) -> None:
    for _ in range(3):
        log_version(tiny_adapter, str(tiny_model), "bot")
    assert len(registry.tagged_bases()) == 1
    stored = list(Path("mlruns").rglob("model.safetensors"))
    assert len(stored) == 1
    assert len(list(Path("mlruns").rglob(adapters.WEIGHTS))) == 3


def test_a_chat_template_of_its_own_is_stored_and_used(
    store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    trained = Path(shutil.copytree(tiny_adapter, tmp_path / "trained"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(trained)  # as trainers do: the same tokenizer in other bytes
    base = flavor.add_base(tiny_model, "tiny")
    same = log_version(trained, base, "bot")
    tokenizer.chat_template = "{{ messages[-1]['content'] }} =>"
    own = log_version(tiny_adapter, base, "bot", tokenizer=tokenizer)
    assert same.adapter_digest != own.adapter_digest
    uri = connection.client().get_model_version("bot", own.version).source
    stored = {p.name for p in Path("mlruns").rglob("tokenizer/*")}
    assert stored == {"chat_template.jinja"}, uri
    first, second = flavor.load_models([same.uri, own.uri])
    assert first.files.tokenizer_dir is None
    prompt = [{"role": "user", "content": "hello"}]
    engine = first.engine
    assert engine.chat_format(first.files).render(prompt).startswith("<|im_start|>user")
    assert engine.chat_format(second.files).render(prompt) == "hello =>"


def test_a_larger_vocabulary_than_the_base_has_is_refused(
    store: str, tiny_model: Path, tiny_adapter: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.add_tokens(["<tool>"])
    with pytest.raises(LlmopsError, match=r"vocabulary mismatch: its largest token id is \d+, but"):
        log_version(tiny_adapter, str(tiny_model), "bot", tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ("no-such-thing", NotFoundError, "neither a directory nor a hub id"),
        (42, UsageError, "a int cannot be logged; allowed: a PeftModel"),
        (Path("."), NotFoundError, r"config\.json and"),
    ],
)
def test_what_is_no_model_is_refused(
    store: str, model: Any, error: type[LlmopsError], says: str
) -> None:
    with pytest.raises(error, match=says):
        log_version(model, None, "bot")
    assert connection.client().search_registered_models() == []


def test_a_base_belongs_to_an_adapter_only(store: str, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="only an adapter has a base"):
        log_version(tiny_model, "tiny", "bot")


def test_a_full_model_needs_a_tokenizer(store: str, tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with pytest.raises(UsageError, match="has no tokenizer"):
        log_version(model, None, "bot")


def test_saving_writes_whole_or_nothing(
    store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    target = tmp_path / "saved"
    flavor.save_model(tiny_adapter, target, base=str(tiny_model))
    loaded = flavor.load_model(str(target))
    assert loaded.files.adapter_digest == adapters.content_digest(target)
    with pytest.raises(UsageError, match="exists and is not an empty directory"):
        flavor.save_model(tiny_adapter, target, base=str(tiny_model))
    broken = Path(shutil.copytree(tiny_adapter, tmp_path / "broken"))
    (broken / adapters.WEIGHTS).write_bytes(b"short")
    with pytest.raises(LlmopsError):
        flavor.save_model(broken, tmp_path / "second", base=str(tiny_model))
    assert not (tmp_path / "second").exists()
    assert not list(tmp_path.glob(".second*"))


def test_a_base_elsewhere_is_taken_if_its_bytes_are_the_pinned_ones(
    store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    version = log_version(tiny_adapter, str(tiny_model), "bot")
    loaded = flavor.load_model(version.uri, base=str(tiny_model))
    assert loaded.files.base.directory == tiny_model
    other = build_tiny_model(tmp_path / "other", seed=99)
    with pytest.raises(LlmopsError, match="expected digest"):
        flavor.load_model(version.uri, base=str(other))


def test_without_the_registry_a_directory_of_the_users_choice_is_searched(
    store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    shelf = tmp_path / "shelf"
    shutil.copytree(tiny_model, shelf / "tiny")
    saved = tmp_path / "saved"
    flavor.save_model(tiny_adapter, saved, base=str(shelf / "tiny"))
    assert json.loads((saved / "base.json").read_text())["origin"] == "directory:tiny"
    shutil.rmtree(bases.cache_dir(flavor.ensure_base("tiny").digest))
    connection.client().delete_registered_model("tiny")
    with pytest.raises(NotFoundError, match="LLMOPS_BASES"):
        flavor.load_model(str(saved))
    monkeypatch.setenv("LLMOPS_BASES", str(shelf))
    assert flavor.load_model(str(saved)).files.base.origin == "directory:tiny"
