"""A logged model and its version appear whole, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest
from versions import log_version, logged_models, registered

from llmops.errors import LlmopsError
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection, registry, tags

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import mlflow
from llmops import flavor
from llmops.store import artifacts, connection, registry
from llmops.errors import LlmopsError
base, adapter = flavor.ensure_base("tiny"), Path(sys.argv[1])
mlflow.set_experiment("tests")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
# SQLite's own files are larger than the limit already, so it is the adapter that does not fit.
size = (adapter / "adapter_model.safetensors").stat().st_size
mlflow.start_run()
real = __import__("shutil").copyfile
def limited(source, target, **options):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    try:
        return real(source, target, **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
__import__("shutil").copyfile = limited
try:
    flavor.log_model(adapter, base=base, registered_model_name="bot")
except LlmopsError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_full_disk_registers_nothing(base: BaseModel, tiny_adapter: Path) -> None:
    # The kernel refuses the write itself (EFBIG), the way a full disk does (ENOSPC).
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FULL_DISK, str(tiny_adapter)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "nothing was registered" in done.stdout
    assert registered() == ["tiny/1"]
    assert len(logged_models()) == 1


def test_a_failed_registration_leaves_no_empty_model(
    base: BaseModel, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    real = mlflow.MlflowClient.create_model_version

    def refuse(self: object, name: str, *args: object, **kwargs: object) -> object:
        if name == "bot":
            raise MlflowException("the store is read-only")
        return real(self, name, *args, **kwargs)

    monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", refuse)
    with pytest.raises(LlmopsError, match="read-only"), mlflow.start_run():
        log_version(tiny_adapter, base, "bot")
    assert [m.name for m in connection.client().search_registered_models()] == ["tiny"]
    assert len(logged_models()) == 1


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
