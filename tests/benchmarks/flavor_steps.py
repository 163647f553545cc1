"""Steps that `test_flavor.py` measures, each in a process of its own: STEP ARGUMENTS → JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPTS = [
    f"Write a one-line docstring for this function: def f{i}(a, b): return a * {i} + b"
    for i in range(32)
]
TOKENS = 32
IDS = [[1, 4093, 198, 2683, 314, 260, 3575, 282, 4649, 47]]
# Its own default requirements need torchvision, which a text model does not.
PEER = {"task": "llm/v1/chat", "pip_requirements": ["mlflow"]}


def peft_model(base: str, adapter: str) -> tuple[Any, Any]:
    """Base and adapter as MLflow's own flavor takes them: in memory."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return PeftModel.from_pretrained(model, adapter), AutoTokenizer.from_pretrained(base)


def peer_log(base: str, adapter: str, name: str, **options: Any) -> tuple[Any, float, float]:
    """Logs with `mlflow.transformers`; returns info, seconds of loading, seconds of logging."""
    import mlflow
    from transformers import pipeline

    begun = time.perf_counter()
    model, tokenizer = peft_model(base, adapter)
    loaded = time.perf_counter()
    chain = pipeline("text-generation", model=model, tokenizer=tokenizer)
    with mlflow.start_run():
        info = mlflow.transformers.log_model(
            chain, name=name, registered_model_name=name, **PEER, **options
        )
    return info, loaded - begun, time.perf_counter() - loaded


def make_adapters(base: str, folder: str) -> dict[str, Any]:
    """Eight random r16 adapters, all linear layers: 19.6 MB each on SmolLM2-135M."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    for seed in range(8):
        torch.manual_seed(seed)
        config = LoraConfig(
            r=16,
            lora_alpha=32,
            target_modules="all-linear",
            init_lora_weights=False,
            task_type="CAUSAL_LM",
        )
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data *= 0.05  # else the answers are noise
        model.save_pretrained(Path(folder) / f"a{seed}")
    return {}


def live_logits(base: str, adapter: str, out: str) -> dict[str, Any]:
    """What the model says before it is logged: with its adapter, merged, and the base alone."""
    import torch

    model, tokenizer = peft_model(base, adapter)
    ids = torch.tensor(IDS)
    with torch.no_grad():
        tuned = model.eval()(ids).logits
        with model.disable_adapter():
            plain = model(ids).logits
        merged = model.merge_and_unload()
        torch.save({"tuned": tuned, "plain": plain, "merged": merged(ids).logits}, out)
    merged.save_pretrained(Path(out).parent / "merged")
    tokenizer.save_pretrained(Path(out).parent / "merged")
    return {}


def log_forms(base: str, adapter: str, merged: str) -> dict[str, Any]:
    """Every input form of our flavor."""
    import mlflow

    from llmops import flavor

    live, tokenizer = peft_model(base, adapter)
    from transformers import AutoModelForCausalLM

    full = AutoModelForCausalLM.from_pretrained(merged)
    forms: dict[str, tuple[Any, dict[str, Any]]] = {
        "PeftModel": (live, {"base": base}),
        "adapter directory": (adapter, {"base": base}),
        "model in memory": (full, {"tokenizer": tokenizer}),
        "model directory": (merged, {}),
    }
    uris = {}
    with mlflow.start_run():
        for form, (model, options) in forms.items():
            info = flavor.log_model(model, registered_model_name="forms", **options)
            uris[form] = f"models:/forms/{info.registered_model_version}"
    return uris


def our_logits(uri: str, live: str, key: str) -> dict[str, Any]:
    """Largest difference of a version's logits from those of the live model."""
    import torch

    from llmops import flavor

    model = flavor.load_model(uri).engine.model
    return {"difference": _difference(model, torch.load(live)[key])}


def peer_logits(uri: str, live: str) -> dict[str, Any]:
    """The same for MLflow's own flavor; an error is a figure too."""
    import mlflow
    import torch

    try:
        model = mlflow.transformers.load_model(uri).model
        return {"difference": _difference(model, torch.load(live)["tuned"])}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0]:.90}"}


def _difference(model: Any, expected: Any) -> float:
    import torch

    with torch.no_grad():
        return float((model.eval()(torch.tensor(IDS)).logits - expected).abs().max())


def peer_forms(base: str, adapter: str) -> dict[str, Any]:
    """MLflow's own flavor, as it is by default and with `base_model_path`."""
    plain, _, _ = peer_log(base, adapter, "peer-default")
    pinned, _, _ = peer_log(base, adapter, "peer-path", base_model_path=base)
    return {"default": plain.model_uri, "base_model_path": pinned.model_uri}


def log_times(base: str, adapter: str, times: str) -> dict[str, Any]:
    """Both flavors in turn, in one warm process."""
    import mlflow

    from llmops import flavor

    known = flavor.ensure_base(base)
    rows = []
    for _ in range(int(times)):
        begun = time.perf_counter()
        with mlflow.start_run():
            flavor.log_model(adapter, base=known, registered_model_name="ours")
        ours = time.perf_counter() - begun
        _, loading, logging = peer_log(base, adapter, "theirs", base_model_path=base)
        rows.append([ours, logging, loading])
    return {"rows": rows}


def log_many(base: str, count: str, *adapters: str) -> dict[str, Any]:
    """Registers many versions of one base."""
    import mlflow

    from llmops import flavor

    known = flavor.ensure_base(base)
    with mlflow.start_run():
        for i in range(int(count)):
            flavor.log_model(adapters[i % len(adapters)], base=known, registered_model_name="many")
    return {}


def load_ours(*uris: str) -> dict[str, Any]:
    """Versions of one base together, each used once."""
    import mlflow  # noqa: F401  both sides pay for their imports before the clock runs
    import peft  # noqa: F401
    import transformers  # noqa: F401

    from llmops import flavor
    from llmops.records import Sampling

    return _loading(
        lambda: flavor.load_models(list(uris)),
        lambda models: [
            model.generate([[{"role": "user", "content": "hi"}]], Sampling(max_tokens=2))
            for model in models
        ],
    )


def load_theirs(*uris: str) -> dict[str, Any]:
    """The same versions in MLflow's own flavor: a base for each."""
    import mlflow
    import peft  # noqa: F401
    import transformers  # noqa: F401

    return _loading(
        lambda: [mlflow.transformers.load_model(uri) for uri in uris],
        lambda chains: [chain("hi", max_new_tokens=2) for chain in chains],
    )


def _loading(load: Callable[[], Any], use: Callable[[Any], Any]) -> dict[str, Any]:
    import psutil

    begun = time.perf_counter()
    models = load()
    seconds = time.perf_counter() - begun
    use(models)
    return {"seconds": seconds, "memory": psutil.Process().memory_info().rss}


def predict(ours: str, theirs: str) -> dict[str, Any]:
    """32 prompts x 32 tokens through both python_functions, in turn."""
    import mlflow
    import pandas as pd

    models = {"ours": mlflow.pyfunc.load_model(ours), "theirs": mlflow.pyfunc.load_model(theirs)}
    chats = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    frame = pd.DataFrame({"messages": chats, "max_tokens": [TOKENS] * len(chats)})
    greedy = {"ours": 0.0, "theirs": 1e-4}  # theirs takes no zero
    found: dict[str, Any] = {}
    for side, model in models.items():
        rows = frame.assign(temperature=greedy[side])
        model.predict(rows.head(2))
        begun = time.perf_counter()
        done = model.predict(rows)
        seconds = time.perf_counter() - begun
        tokens = sum(row["usage"]["completion_tokens"] for row in done)
        found[side] = {"seconds": seconds, "tokens": tokens, "rate": tokens / seconds}
    return found


def digest_check(base: str) -> dict[str, Any]:
    """Milliseconds of a base's check: by its manifest, and by every byte."""
    from llmops import flavor
    from llmops.models import bases

    known = flavor.ensure_base(base)
    rounds = []
    for every in (False, False, False, True):
        begun = time.perf_counter()
        bases.verify(known.directory, known.digest, every_byte=every)
        rounds.append(1000 * (time.perf_counter() - begun))
    return {"manifest": min(rounds[:3]), "every_byte": rounds[3]}


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    step.__name__: step
    for step in (
        make_adapters,
        live_logits,
        log_forms,
        our_logits,
        peer_logits,
        peer_forms,
        log_times,
        log_many,
        load_ours,
        load_theirs,
        predict,
        digest_check,
    )
}

if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    result = STEPS[sys.argv[1]](*sys.argv[2:])
    Path(os.environ["STEP_RESULT"]).write_text(json.dumps(result))
