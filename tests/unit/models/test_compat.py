"""A private name of a library is still there, and still needed; else this says so."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import mlflow
import torch
import yaml
from sides import trained
from transformers import AutoModelForCausalLM, RwkvConfig, RwkvForCausalLM

from llmops.models import compat


def test_a_llama_keeps_a_dynamic_cache_and_a_model_with_a_state_of_its_own_does_not(
    tiny_model: Path,
) -> None:
    llama = AutoModelForCausalLM.from_pretrained(tiny_model)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "vocab_size": 9, "context_length": 8}
    assert compat.keeps_default_cache(llama)
    assert not compat.keeps_default_cache(RwkvForCausalLM(RwkvConfig(**sizes)))


def test_a_model_that_takes_logits_to_keep_computes_only_those(tiny_model: Path) -> None:
    llama = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert compat.takes_logits_to_keep(llama)
    ids = torch.tensor([[5, 6, 7]])
    assert llama(input_ids=ids, logits_to_keep=1).logits.shape[1] == 1


def test_adapters_are_switched_off_without_a_walk_over_the_parameters(tiny_model: Path) -> None:
    model = trained(tiny_model)
    layer = next(module for module in model.modules() if hasattr(module, "lora_A"))
    before = [parameter.requires_grad for parameter in layer.parameters()]
    compat.disable_adapters(layer, True)
    assert layer.disable_adapters is True, "PEFT reads the private name by its public property"
    assert [parameter.requires_grad for parameter in layer.parameters()] == before
    layer.enable_adapters(False)
    after = [parameter.requires_grad for parameter in layer.parameters()]
    assert after != before, "PEFT's own switch no longer walks: use it"


def test_a_copy_with_a_weight_of_its_own_leaves_the_original_alone() -> None:
    original = torch.nn.Linear(2, 2, bias=False)
    kept = original.weight
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    module = copy.copy(original)
    compat.replace_weight(module, weight)
    assert module.weight is weight
    assert original.weight is kept
    plain = copy.copy(original)
    plain.weight = weight
    assert original.weight is weight, "copy.copy no longer shares parameters: assign plainly"


def test_the_experiment_is_the_one_that_was_set(store: str) -> None:
    assert compat.current_experiment() == mlflow.get_experiment_by_name("tests").experiment_id
    mlflow.set_experiment("other")
    with mlflow.start_run() as run:
        assert compat.current_experiment() == run.info.experiment_id


def test_nothing_public_tells_the_experiment_without_a_run() -> None:
    public = [name for name in dir(mlflow) if "experiment" in name and not name.startswith("_")]
    assert not {"get_experiment_id", "active_experiment", "current_experiment"} & set(public), (
        "MLflow tells it now: use that"
    )


def test_an_example_is_saved_where_mlflow_looks_for_it(tmp_path: Path) -> None:
    model = mlflow.models.Model()
    compat.save_example(model, {"messages": [{"role": "user", "content": "a"}]}, tmp_path)
    file = tmp_path / model.saved_input_example_info["artifact_path"]
    assert json.loads(file.read_text())["messages"][0]["content"] == "a"
    assert model.load_input_example(str(tmp_path))["messages"][0]["role"] == "user"


def test_environments_name_the_requirements(tmp_path: Path) -> None:
    compat.write_environments(tmp_path, ["torch==2.9", "peft"])
    conda = yaml.safe_load((tmp_path / compat.CONDA_FILE).read_text())
    (pip,) = (entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert {"torch==2.9", "peft"} <= set(pip)
    python = yaml.safe_load((tmp_path / compat.PYTHON_FILE).read_text())
    assert "-r requirements.txt" in python["dependencies"]
