"""vLLM's plugin: off unless it is switched on, and light; `tests/vllm` has a real vLLM."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from llmops.records import BaseModel, ModelVersion
from mlflow_plugins import vllm_resolver

ROOT = Path(__file__).parents[2]
REGISTER = """
import sys
from mlflow_plugins.vllm_resolver import register
register()
print(sorted({"mlflow", "vllm", "torch", "transformers", "pandas"} & set(sys.modules)))
"""


class Registry:
    """vLLM's registry of resolvers."""

    def __init__(self) -> None:
        self.resolvers: dict[str, object] = {}

    def get_supported_resolvers(self) -> set[str]:
        return set(self.resolvers)

    def register_resolver(self, name: str, resolver: object) -> None:
        self.resolvers[name] = resolver


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A stand-in for the two modules of vLLM that the plugin imports."""
    request, resolver = ModuleType("vllm.lora.request"), ModuleType("vllm.lora.resolver")
    registry = Registry()
    vars(request)["LoRARequest"] = dict
    vars(resolver).update(LoRAResolver=object, LoRAResolverRegistry=registry)
    for name in ("vllm", "vllm.lora"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "vllm.lora.request", request)
    monkeypatch.setitem(sys.modules, "vllm.lora.resolver", resolver)
    return registry


def test_vllm_finds_the_plugin_by_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    value = project["entry-points"]["vllm.general_plugins"]["llmops_lora_resolver"]
    found = EntryPoint("llmops_lora_resolver", value, "vllm.general_plugins")
    assert found.load() is vllm_resolver.register


@pytest.mark.parametrize("value", [None, "0", ""])
def test_it_is_off_and_imports_nothing_unless_it_is_switched_on(value: str | None) -> None:
    env = {name: text for name, text in os.environ.items() if name != "LLMOPS_VLLM_RESOLVER"}
    env |= {} if value is None else {"LLMOPS_VLLM_RESOLVER": value}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", REGISTER], env=env, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "[]"


def test_a_registered_version_is_resolved_once_it_is_on(
    registry: Registry, version: ModelVersion, base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm_resolver.register()
    assert registry.resolvers == {}
    monkeypatch.setenv("LLMOPS_VLLM_RESOLVER", "1")
    monkeypatch.setenv("LLMOPS_VLLM_MODELS", "bot")
    vllm_resolver.register()
    resolver = registry.resolvers["llmops"]
    vllm_resolver.register()  # vLLM calls it again in some processes
    assert registry.resolvers == {"llmops": resolver}
    ask = vars(type(resolver))["resolve_lora"]
    found = asyncio.run(ask(resolver, str(base.directory), "bot@v1"))
    assert found["lora_name"] == "bot@v1"
    assert Path(found["lora_path"]).parent.name == version.adapter_digest
    assert asyncio.run(ask(resolver, str(base.directory), "bot@champion")) is None
