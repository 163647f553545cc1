"""What an adapter's PEFT configuration means for the models that share its base."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from math import isfinite
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, UsageError, first_line
from llmops.files import digest, home
from llmops.models import adapters, safety
from llmops.models.safety import Shapes
from llmops.records import BaseModel

REBUILT = ("pissa", "olora")
"""Initialisations that change the base, and that PEFT repeats bit for bit when it loads."""
PLAIN = {
    "r",
    "lora_alpha",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "lora_dropout",
    "fan_in_fan_out",
    "init_lora_weights",
    "task_type",
}
"""Settings of a LoRA that is nothing but two matrices beside each layer."""
LABELS = {"base_model_name_or_path", "revision", "inference_mode", "peft_version"}
"""Settings without effect on an adapter that is loaded."""


def read_config(directory: Path) -> Any:
    """PEFT's configuration of a stored LoRA adapter.

    Raises:
        UsageError: Not a LoRA adapter, or one that this PEFT cannot bring back.
        IntegrityError: The configuration contradicts itself.
    """
    import peft

    written = safety.read_json(directory / adapters.CONFIG)
    if written.get("peft_type") != "LORA":
        raise UsageError(
            f"{directory / adapters.CONFIG}: peft_type is {written.get('peft_type')!r}; allowed: 'LORA'",
            next_command="merge the adapter (`merge_and_unload()`) and log the full model",
        )
    known = {field.name for field in fields(peft.LoraConfig)}
    unknown = sorted(name for name, value in written.items() if value and name not in known)
    if unknown:  # PEFT would only warn, and answer without them
        raise UsageError(
            f"{directory}: set {', '.join(unknown)}, which PEFT {peft.__version__} does not know",
            next_command="pip install --upgrade peft",
        )
    _check_rebuilt(directory, written)
    for name, value in written.items():
        if not _finite(value):
            raise IntegrityError(
                f"{directory / adapters.CONFIG}: {name} must be finite, received {value!r:.80}"
            )
    try:
        config = peft.LoraConfig.from_pretrained(str(directory))
    except Exception as error:  # odd values end in any exception
        raise IntegrityError(f"{directory / adapters.CONFIG}: damaged: {error}") from error
    config.inference_mode = True
    return config


def _finite(value: Any) -> bool:
    """Whether JSON's NaN and Infinity, which are no JSON, occur nowhere in it."""
    values = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list)):
        return all(map(_finite, values))
    return not isinstance(value, float) or isfinite(value)


def check_fits(directory: Path, base: BaseModel) -> None:
    """Compares an adapter with its base without reading a weight of the base.

    Raises:
        UsageError: See ``read_config``.
        IntegrityError: The adapter does not fit.
    """
    config = read_config(directory)
    adapters.check_tensors(directory, _expected_over(base, config, directory), base.name)


def _expected_over(base: BaseModel, config: Any, directory: Path) -> Shapes:
    """What PEFT makes of a configuration over a base; remembered, for the next training's sake."""
    import peft
    import transformers

    settings = {name: value for name, value in config.to_dict().items() if name not in LABELS}
    settings = {name: sorted(v) if isinstance(v, set) else v for name, v in settings.items()}
    key = digest.of_record([base.digest, peft.__version__, transformers.__version__, settings])
    known = home.folder("verified") / f"tensors-{key}.json"
    with suppress(OSError, ValueError):
        return {name: tuple(shape) for name, shape in json.loads(known.read_text()).items()}
    expected = _built(base, config, directory)
    home.write_whole(known, json.dumps(expected))
    return expected


def _built(base: BaseModel, config: Any, directory: Path) -> Shapes:
    """The tensors of an adapter that PEFT builds on a model without memory."""
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    config.init_lora_weights = False  # others compute on weights that are not there
    config.base_model_name_or_path = None  # else PEFT warns that this model has another path
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base.directory))
            wrapped = get_peft_model(model, config)
    except Exception as error:  # odd values end in any exception
        said = first_line(error)
        raise IntegrityError(
            f"{directory / adapters.CONFIG} does not fit its base {base.name}: {said}",
            next_command="name the base that it was trained on (`base=…`)",
        ) from error
    return expected_tensors(wrapped, "default")


def expected_tensors(model: Any, name: str) -> Shapes:
    """Names, as a file has them, and shapes of an adapter's tensors in a ``PeftModel``."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def check_same_base(model: Any, base: BaseModel) -> None:
    """Compares the base in memory, under a live PeftModel, with the one that will be pinned.

    Quantised weights are skipped, and all of them where the adapter's initialisation changed them.

    Raises:
        IntegrityError: A weight differs; the version would answer otherwise than the model.
    """
    import torch
    from safetensors import safe_open

    if any(changes_base(config) for config in model.peft_config.values()):
        return
    memory = {
        name.replace(".base_layer", "").replace(".original_module", ""): tensor
        for name, tensor in model.get_base_model().state_dict().items()
        if ".lora_" not in name and ".modules_to_save." not in name
    }
    for file in sorted(base.directory.glob("*.safetensors")):
        with safe_open(file, framework="pt") as stored:
            for name in set(stored.keys()) & set(memory):
                live = memory[name]
                if live.is_meta or not live.is_floating_point():
                    continue
                if not torch.equal(stored.get_tensor(name).to(live.dtype), live.cpu()):
                    raise IntegrityError(
                        f"the model in memory has another {name} than its base {base.name}",
                        next_command="log_model(model.merge_and_unload(), tokenizer=…): the full model",
                    )


def check_company(configs: Mapping[Path, Any], answering: int) -> None:
    """An adapter that changes its base must be alone with it.

    Args:
        configs: By directory.
        answering: How many models answer, the bare base among them.

    Raises:
        UsageError: Another model would answer from the changed base.
    """
    for directory, config in configs.items():
        reason = changes_base(config)
        if reason is not None and answering > 1:
            raise UsageError(
                f"{directory}: this adapter changes the weights of its base ({reason}): no other"
                " model can share its engine",
                next_command="load it in an engine of its own, or log it as a full model",
            )


def changes_base(config: Any) -> str | None:
    """Which setting lets an adapter change the weights that other models use; ``None`` if none."""
    if adapters.changes_base(config.to_dict()):
        return f"init_lora_weights={config.init_lora_weights!r}"
    if config.bias != "none":
        return f"bias={config.bias!r}"
    changing = ("layer_replication", "kasa_config")
    return next((name for name in changing if getattr(config, name, None)), None)


def plain_settings(config: Any) -> Mapping[str, Any] | None:
    """What decides how a plain LoRA computes; ``None`` if the adapter is more than that.

    Two adapters with the same settings have the same tensors in the same places. Only settings
    that are known to be harmless count as plain, so a new feature of PEFT never does.
    """
    default = type(config)().to_dict()
    own = {name: value for name, value in config.to_dict().items() if value != default.get(name)}
    settings = {name: value for name, value in own.items() if name not in LABELS}
    special = set(settings) - PLAIN or config.init_lora_weights == "mica"
    return None if special or changes_base(config) else settings


def _check_rebuilt(directory: Path, written: Mapping[str, Any]) -> None:
    """The base that an adapter was trained on must follow from the stored one."""
    init = written.get("init_lora_weights")
    if adapters.changes_base(written) and init not in REBUILT:
        raise UsageError(
            f"{directory}: init_lora_weights={init!r} changed the base by numbers that are not"
            f" stored with the adapter; allowed: {', '.join(map(repr, REBUILT))}, or what leaves the base alone",
            next_command="save it with PEFT's `path_initial_model_for_weight_conversion`, log it again",
        )
