"""A vLLM that somebody starts by hand finds versions in MLflow's registry. `make vllm` runs this."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import mlflow
import pytest
from servers import environment, free_port, machine, mlflow_server, running
from sides import write_adapter
from versions import log_version

from llmops import flavor
from llmops.models import bases
from llmops.models.versions import get_version

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
MARK = "# For the resolver"
SECONDS = 240.0


def install(python: Path, target: Path) -> Path:
    """Install this package beside vLLM without its pins, and mlflow-skinny if it is missing."""
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
    subprocess.run([sys.executable, *pip, "--no-build-isolation", str(ROOT)], check=True)
    if subprocess.run([python, "-c", "import mlflow"], capture_output=True).returncode:
        required = (ROOT / "requirements-vllm.txt").read_text().partition(MARK)[2]
        subprocess.run([python, *pip, *required.splitlines()[1:]], check=True)
    return target


@pytest.fixture(scope="module")
def server(
    python: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """Address and log of a plain vLLM; the registry has bot/1, bot/2 and secret/1."""
    place = tmp_path_factory.mktemp("registry")
    stored = place / "artifacts"
    with (
        mlflow_server(place, "--artifacts-destination", str(stored)) as url,
        machine(place, url),
    ):
        base = flavor.add_base(folder, "tiny")
        other = flavor.add_base(other_base(folder, place), "other")
        with mlflow.start_run():
            for number, name in enumerate(["bot", "bot", "secret"], 1):
                adapter = write_adapter(folder, place / f"a{number}", seed=number, rank=4)
                log_version(adapter, base, name)
            adapter = write_adapter(other.directory, place / "a4", seed=4, rank=4)
            log_version(adapter, other, "bot")
        mlflow.MlflowClient().set_registered_model_alias("bot", "champion", "1")
        tamper(stored, "bot", "2")
        port = free_port()
        command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--port", str(port)]
        command += ["--host", "127.0.0.1", "--model", str(bases.cache_dir(base.digest))]
        command += ["--dtype", "float32", "--enable-lora", "--max-lora-rank", "8"]
        env = environment(
            PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            PYTHONPATH=str(install(python, place / "installed")),
            LLMOPS_HOME=str(place / "home of vLLM"),
            LLMOPS_VLLM_RESOLVER="1",
            LLMOPS_VLLM_MODELS="bot, another",
            VLLM_ALLOW_RUNTIME_LORA_UPDATING="1",
            VLLM_CPU_KVCACHE_SPACE="1",
            VLLM_NO_USAGE_STATS="1",
            HF_HUB_OFFLINE="1",
        )
        address = f"http://127.0.0.1:{port}"
        with running(command, place, f"{address}/health", env) as log:
            yield address, log


def other_base(folder: Path, place: Path) -> Path:
    """The same architecture with other weights."""
    from safetensors.numpy import load_file, save_file

    copy = shutil.copytree(folder, place / "other")
    weights = load_file(copy / "model.safetensors")
    save_file(
        {name: 2 * w for name, w in weights.items()},
        copy / "model.safetensors",
        metadata={"format": "pt"},
    )
    return Path(copy)


def tamper(stored: Path, name: str, version: str) -> None:
    """Change a byte of a version's adapter in the artifact store, behind the registry's back."""
    model_id = str(get_version(name, version).model_id)
    (weights,) = [path for path in stored.rglob("adapter_model.*") if model_id in str(path)]
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")


def ask(address: str, model: str) -> httpx.Response:
    body = {"model": model, "prompt": "def split(p):", "max_tokens": 12, "temperature": 0}
    return httpx.post(f"{address}/v1/completions", json=body, timeout=SECONDS)


def test_names_of_versions_are_resolved_and_nothing_else(server: tuple[str, Path]) -> None:
    address, log = server
    answer = ask(address, "bot@v1").raise_for_status().json()
    base = httpx.get(f"{address}/v1/models").json()["data"][0]["id"]
    assert answer["model"] == "bot@v1"
    assert answer["choices"][0]["text"] != ask(address, base).json()["choices"][0]["text"]
    refused = {
        "bot@v2": "adapter digest",  # tampered with in the store
        "bot@v3": "its base is other, and vLLM serves another",
        "bot@v99": "no such version",
        "bot@champion": None,  # an alias moves, and vLLM keeps what it found
        "bot@v01": None,
        "secret@v1": None,  # not on the list
        "another@v1": "no such version",
        "../../etc@v1": None,
    }
    for name, reason in refused.items():
        assert ask(address, name).status_code == 404, name
        lines = [line for line in log.read_text().splitlines() if f"{name} is not served" in line]
        assert bool(lines) == (reason is not None), (name, lines)
        assert reason is None or reason in lines[0]
    assert ask(address, "bot@v1").json()["choices"] == answer["choices"]
