from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sides import CONVERSATIONS, GREEDY, generate, score, side_of

from llmops.engine.local.engine import LocalEngine
from llmops.engine.local.loading import load_base
from llmops.errors import IntegrityError, UsageError
from llmops.records import LoadOptions, ModelFiles

torch = pytest.importorskip("torch")
WEIGHTS = "model.safetensors"
UP = "model.layers.0.mlp.up_proj.weight"


def test_every_option_reaches_the_model(folder: Path) -> None:
    model = load_base(folder, LoadOptions(dtype="bfloat16", device="cpu", attention="eager"))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.config._attn_implementation == "eager"
    assert not model.training
    assert load_base(folder, LoadOptions(attention="sdpa")).config._attn_implementation == "sdpa"


def test_the_engine_takes_the_options(base: ModelFiles) -> None:
    engine = LocalEngine([base], options=LoadOptions(dtype="float16", device="cpu"))
    assert engine.model.dtype == torch.float16
    assert str(engine.device) == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="float32 is the default on CPU only")
def test_the_default_on_a_cpu_is_float32(folder: Path) -> None:
    assert load_base(folder, LoadOptions()).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (LoadOptions(dtype="float23"), "unknown dtype 'float23'; allowed: auto, bfloat16, float16"),
        (LoadOptions(dtype="load"), "unknown dtype 'load'"),  # torch.load is no dtype
        (LoadOptions(device="tpu"), "unknown device 'tpu'; allowed: auto, cpu, cuda, cuda:N"),
        (LoadOptions(device="cuda:x"), "unknown device 'cuda:x'"),
        (LoadOptions(device="cuda:99"), "'cuda:99': no such GPU; this machine has"),
        (LoadOptions(attention="fast"), "unknown attention 'fast'; allowed: eager, sdpa, flash"),
        (LoadOptions(attention="owner/kernel"), "unknown attention 'owner/kernel'"),
        (LoadOptions(quantization="2bit"), "unknown quantization '2bit'; allowed: 8bit, 4bit"),
    ],
)
def test_an_unknown_option_is_refused(folder: Path, options: LoadOptions, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        load_base(folder, options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "balanced"])
def test_a_gpu_that_is_not_there(folder: Path, device: str) -> None:
    with pytest.raises(UsageError, match=f"'{device}': no such GPU; this machine has only the CPU"):
        load_base(folder, LoadOptions(device=device))


def test_attention_that_is_not_installed(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"FlashAttention3 .*; allowed attention: eager, sdpa"):
        load_base(folder, LoadOptions(attention="flash_attention_3"))


def test_quantization_names_the_package_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'mlflow-llmops\[quantization\]'"):
        load_base(folder, LoadOptions(quantization="8bit"))


@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_8bit_on_the_cpu(folder: Path, tuned: ModelFiles, other: ModelFiles) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    engine = LocalEngine([tuned, other], options=LoadOptions(quantization="8bit", device="cpu"))
    quantised = [m for m in engine.model.modules() if isinstance(m, bitsandbytes.nn.Linear8bitLt)]
    assert len(quantised) == 14, "seven matrices of two layers"
    whole = LocalEngine([tuned, other])
    for side in (tuned, other):
        assert len(generate(engine, side, CONVERSATIONS, GREEDY)) == len(CONVERSATIONS)
        close = score(engine, side, CONVERSATIONS, ["Split."] * 8)
        exact = score(whole, side, CONVERSATIONS, ["Split."] * 8)
        for (ours, n), (theirs, _) in zip(close, exact, strict=True):
            assert ours / n == pytest.approx(theirs / n, abs=1.0)


def changed(folder: Path, copy: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, copy)
    weights = load_file(copy / WEIGHTS)
    change(weights)
    save_file(weights, copy / WEIGHTS, metadata={"format": "pt"})
    return copy


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda w: w.pop(UP), f"lacks weights that the model needs: 1, such as {UP}"),
        (lambda w: w.update(extra=w[UP].clone()), "does not use: 1, such as extra"),
        (
            lambda w: w.update({UP: w[UP][1:].clone()}),
            r"whose shape differs .*\[63, 32\], not \[64, 32\]",
        ),
    ],
)
def test_a_base_that_is_not_whole_is_refused(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    # transformers starts what is missing at random and goes on with a line in its log.
    broken = changed(folder, tmp_path / "broken", change)
    with pytest.raises(IntegrityError, match=problem):
        LocalEngine([side_of(broken)])


def test_a_tied_head_is_not_missing(folder: Path, tmp_path: Path) -> None:
    tied = changed(folder, tmp_path / "tied", lambda w: w.pop("lm_head.weight"))
    config = json.loads((tied / "config.json").read_text()) | {"tie_word_embeddings": True}
    (tied / "config.json").write_text(json.dumps(config))
    loaded = load_base(tied, LoadOptions())
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


def test_a_pickled_base_is_not_opened(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "pickled"
    shutil.copytree(folder, copy)
    (copy / WEIGHTS).rename(copy / "pytorch_model.bin")
    with pytest.raises(IntegrityError, match="pickled: cannot be loaded"):
        load_base(copy, LoadOptions())
