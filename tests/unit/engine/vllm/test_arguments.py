"""Which arguments vLLM's server gets, and which a user may add."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops.engine.vllm import arguments
from llmops.engine.vllm.environment import Environment
from llmops.errors import UsageError
from llmops.records import BaseModel

CPU = Environment(Path("python"), "0.32.0", cpu=True)
GPU = Environment(Path("python"), "0.33.0", cpu=False)


def test_the_dtype_is_that_of_the_comparison_on_the_same_device() -> None:
    assert arguments.dtype_of(CPU) == "float32"
    assert arguments.dtype_of(GPU) == "bfloat16"
    assert arguments.dtype_of(GPU, "float16") == "float16"


def test_a_base_is_served_under_its_names(tmp_path: Path) -> None:
    settings = {"repetition_penalty": 1.2, "temperature": 0.7}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    base = BaseModel("tiny", "models:/tiny/1", "0" * 64, tmp_path)
    given = arguments.base_arguments(base, "float32", ["bot@v1", "0" * 64])
    assert given[:5] == ["--model", str(tmp_path), "--served-model-name", "bot@v1", "0" * 64]
    assert arguments.value(given, "--generation-config") == "vllm"
    assert arguments.value(given, "--override-generation-config") == '{"repetition_penalty": 1.2}'
    given = arguments.base_arguments(base, "float32", ["bot@v1"], most=100)
    changed = json.loads(str(arguments.value(given, "--override-generation-config")))
    assert changed == {"max_new_tokens": 100, "repetition_penalty": 1.2}


def test_slots_for_adapters_are_exact_but_for_the_empty_one_of_a_cpu() -> None:
    given = arguments.adapter_arguments(GPU, 5, 16)
    assert arguments.value(given, "--max-lora-rank") == "16"
    assert arguments.value(given, "--max-loras") == "5"
    assert arguments.value(given, "--max-cpu-loras") == "5"
    assert arguments.value(arguments.adapter_arguments(CPU, 5, 16), "--max-loras") == "6"


def test_an_adapter_is_loaded_under_a_name() -> None:
    module = json.loads(arguments.module("bot@v7", Path("/cache/adapter")))
    assert module == {"name": "bot@v7", "path": "/cache/adapter"}


@pytest.mark.parametrize(
    "given",
    [
        *("--api-key=x", "--api_key=x", "--api-k", "--host", "--port=1", "--served-model-name"),
        *("--enable-lora", "--no-enable-lora", "--lora-modules.x=1", "--ssl-keyfile", "--ss"),
        *(
            "--trust-remote-code",
            "--config=file.yaml",
            "--uds=x",
            "--model",
            "--api-server-count=2",
        ),
    ],
)
def test_arguments_that_would_break_what_we_rely_on_are_refused(given: str) -> None:
    with pytest.raises(UsageError, match="cannot be set here: ") as refused:
        arguments.check_given(["--seed=1", given])
    option = given.partition("=")[0].partition(".")[0].replace("_", "-")
    assert f"option {option} cannot" in str(refused.value)


def test_other_arguments_are_the_users() -> None:
    arguments.check_given([])
    arguments.check_given(
        ["--max-model-len", "2048", "--seed", "-1", "--model-impl=vllm", "-tp", "2", "-O3", "--"]
    )
    with pytest.raises(UsageError, match="'other/model': expected an option"):
        arguments.check_given(["other/model"])


def test_a_cache_that_mixes_adapters_is_refused() -> None:
    given = ["--kv-transfer-config", '{"kv_connector": "LMCacheConnectorV1"}']
    with pytest.raises(UsageError, match=r"LMCache .* would mix versions"):
        arguments.check_given(given)


def test_the_value_of_an_option_is_read_as_vllm_reads_it() -> None:
    given = ["--max_lora_rank", "8", "--seed=1", "-tp", "2", "--max-lora-rank=16", "--last"]
    assert arguments.value(given, "--max-lora-rank") == "16"
    assert arguments.value(given, "--seed") == "1"
    assert arguments.value(given, "-tp") == "2"
    assert arguments.value(given, "--last") == ""
    assert arguments.value(given, "--absent") is None
