"""The PEFT configuration of an adapter: whether it can be loaded, and what else it changes."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, LlmopsError, UsageError, first_line
from llmops.files import digest, home
from llmops.models import adapter_tensors, adapters, safety
from llmops.models.foreign import patterns
from llmops.models.safety import Shapes
from llmops.records import BaseModel

REBUILT = ("pissa", "olora")
"""Initialisations that change the base and that PEFT repeats bit for bit on loading."""
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
"""Settings of a plain LoRA: two matrices beside each layer, and nothing else."""
LARGEST = 1e9
"""Largest number in a configuration."""
LABELS = {"base_model_name_or_path", "revision", "inference_mode", "peft_version"}
"""Settings without effect on a loaded adapter."""
TRAINING_ONLY = re.compile(
    r"lora_dtype|lorap_emb_lr"  # ms-swift
    r"|(\w+_)?(lr|learning_rate)(_ratio|_embedding)?|weight_decay"  # LoRA+ in ms-swift, axolotl
    r"|unsloth_\w*(version|fixed)|(use_)?gradient_checkpointing\w*|random_state|seed|max_seq_length"
    r"|merge_weights"  # PEFT before 0.3: whether `eval()` merges
    r"|\w+_version"
)
"""Names of settings that other tools write into the file and that only their training reads."""


def read_config(directory: Path) -> Any:
    """Return PEFT's configuration of a stored LoRA adapter.

    Raises:
        UsageError: The adapter is not a LoRA, or this release of PEFT cannot restore it.
        IntegrityError: The configuration is damaged.
    """
    import peft

    written = safety.read_json(directory / adapters.CONFIG)
    if written.get("peft_type") != "LORA":
        raise UsageError(
            f"{directory / adapters.CONFIG}: peft_type is {written.get('peft_type')!r}; allowed: 'LORA'",
            next_command="merge the adapter (`merge_and_unload()`) and log the full model",
        )
    refused = sorted(set(_unknown(written)) - set(training_only(written)))
    if refused:  # PEFT would only warn, and ignore them
        raise UsageError(
            f"{directory / adapters.CONFIG}: sets {', '.join(refused)}, which PEFT"
            f" {peft.__version__} does not know; it may change what the adapter computes",
            next_command="pip install --upgrade peft if a newer PEFT wrote it; if another tool did and"
            " it only concerns training, remove it from the file",
        )
    _check_rebuilt(directory, written)
    for name, value in written.items():
        if not _moderate(value):
            raise IntegrityError(
                f"{directory / adapters.CONFIG}: {name} must be finite and at most {LARGEST:g},"
                f" received {value!r:.80}"
            )
    try:
        with warnings.catch_warnings():  # PEFT advises an upgrade for each unknown setting
            warnings.filterwarnings("ignore", "Unexpected keyword arguments", UserWarning)
            config = peft.LoraConfig.from_pretrained(str(directory))
    except Exception as error:  # an odd value may raise anything
        raise IntegrityError(f"{directory / adapters.CONFIG}: damaged: {error}") from error
    config.inference_mode = True
    return config


def training_only(written: Mapping[str, Any]) -> list[str]:
    """Return the settings that other tools add for training, without effect on a trained adapter.

    Args:
        written: Content of the adapter's ``adapter_config.json``.
    """
    return [name for name in _unknown(written) if TRAINING_ONLY.fullmatch(name)]


def _unknown(written: Mapping[str, Any]) -> list[str]:
    """Return the settings in use that PEFT does not know."""
    import peft

    known = {field.name for field in fields(peft.LoraConfig)}
    return sorted(name for name, value in written.items() if value and name not in known)


def _moderate(value: Any) -> bool:
    """Return whether a value holds no NaN, infinity or absurdly large number."""
    values = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list)):
        return all(map(_moderate, values))
    return not isinstance(value, (int, float)) or abs(value) <= LARGEST  # false for NaN


def check_fits(directory: Path, base: BaseModel) -> set[str]:
    """Check that an adapter fits its base.

    No weight of the base is read, except its embedding if the adapter's file has a copy of it.

    Returns:
        The names of tensors in the adapter's file that repeat those of the base.

    Raises:
        UsageError: See ``read_config``; or an embedding was changed in training.
        IntegrityError: The adapter does not fit.
    """
    config = read_config(directory)
    expected = _expected_over(base, config, directory)
    file = directory / adapters.WEIGHTS
    stored, repeated = safety.shapes(file), set[str]()
    if stored != expected:
        model = _built(base, read_config(directory), directory)
        stored = adapter_tensors.as_loaded(stored, model, "default", file)
        repeated = adapter_tensors.copies(file, set(stored) - set(expected), model, base)
        stored = {name: shape for name, shape in stored.items() if name not in repeated}
        rows = safety.vocabulary_size(base.directory)
        adapter_tensors.check_vocabulary(file, stored, expected, rows, base.name)
    adapters.check_tensors(directory, stored, expected, base.name)
    return repeated


def _expected_over(base: BaseModel, config: Any, directory: Path) -> Shapes:
    """Return the tensors of a configuration over a base, kept in a file for the next check."""
    import peft
    import transformers

    settings = {name: value for name, value in config.to_dict().items() if name not in LABELS}
    settings = {name: sorted(v) if isinstance(v, set) else v for name, v in settings.items()}
    key = digest.of_record([base.digest, peft.__version__, transformers.__version__, settings])
    record = home.folder("verified") / f"tensors-{key}.json"
    with suppress(OSError, ValueError):
        return {name: tuple(shape) for name, shape in json.loads(record.read_text()).items()}
    expected = expected_tensors(_built(base, config, directory), "default")
    home.write_whole(record, json.dumps(expected))
    return expected


def _built(base: BaseModel, config: Any, directory: Path) -> Any:
    """Return the ``PeftModel`` of a configuration over a model without weights."""
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    config.init_lora_weights = False  # others compute with weights, which are absent
    config.base_model_name_or_path = None  # else PEFT warns about a different path
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base.directory))
            modules = (name for name, _ in model.named_modules())
            patterns.check(str(directory / adapters.CONFIG), config, modules)
            return get_peft_model(model, config)
    except LlmopsError:
        raise
    except Exception as error:  # an odd value may raise anything
        reason = first_line(error)
        raise IntegrityError(
            f"{directory / adapters.CONFIG} does not fit its base {base.name}: {reason}",
            next_command="name the base that the adapter was trained on (`base=…`)",
        ) from error


def expected_tensors(model: Any, name: str) -> Shapes:
    """Return the shapes of an adapter's tensors in a ``PeftModel``, by their names in a file."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def check_same_base(model: Any, base: BaseModel) -> None:
    """Check that the base in a live model with adapters has the weights of the base to pin.

    Quantised weights are skipped, and all weights if the adapter's initialisation changed them.

    Raises:
        IntegrityError: A weight differs, so the version would not answer like the model.
    """
    import torch
    from safetensors import safe_open

    if any(changes_base(config) for config in model.peft_config.values()):
        return
    memory = {
        name.replace(".base_layer", "").replace(".original_module", ""): tensor
        for name, tensor in (model.get_base_model() if hasattr(model, "get_base_model") else model)
        .state_dict()
        .items()
        if ".lora_" not in name and ".modules_to_save." not in name
    }
    for file in sorted(base.directory.glob("*.safetensors")):
        with safe_open(file, framework="pt") as stored:
            for name in set(stored.keys()) & set(memory):
                live = memory[name]
                if live.is_meta or not live.is_floating_point():
                    continue
                pinned = stored.get_tensor(name).to(live.dtype)
                if not torch.equal(pinned, live.cpu()):
                    rows = f": {len(live)} rows, not {len(pinned)}" * (len(live) != len(pinned))
                    raise IntegrityError(
                        f"the model in memory differs from its base {base.name} in {name}{rows}",
                        next_command="log the full model: log_model(model.merge_and_unload(), tokenizer=…)",
                    )


def check_company(configs: Mapping[Path, Any], answering: int) -> None:
    """Refuse an adapter that changes its base in an engine with other models.

    Args:
        configs: PEFT's configuration of each adapter, by its directory.
        answering: Number of models in the engine, the bare base included.

    Raises:
        UsageError: Another model would answer from the changed base.
    """
    for directory, config in configs.items():
        reason = changes_base(config)
        if reason is not None and answering > 1:
            raise UsageError(
                f"{directory}: this adapter changes the weights of its base ({reason}): no other"
                " model can share its engine",
                next_command="load it in a separate engine, or log it as a full model",
            )


def changes_base(config: Any) -> str | None:
    """Return the setting by which an adapter changes shared weights, ``None`` if there is none."""
    return adapters.reason_alone(config.to_dict())


def plain_settings(config: Any) -> Mapping[str, Any] | None:
    """Return the settings of a plain LoRA, ``None`` if the adapter is more than that.

    Two adapters with the same settings have the same tensors in the same places. Only settings
    that are known to be harmless count as plain, so a new feature of PEFT is never plain.
    """
    default = type(config)().to_dict()
    own = {name: value for name, value in config.to_dict().items() if value != default.get(name)}
    settings = {name: value for name, value in own.items() if name not in LABELS}
    special = set(settings) - PLAIN or config.init_lora_weights == "mica"
    return None if special or changes_base(config) else settings


def _check_rebuilt(directory: Path, written: Mapping[str, Any]) -> None:
    """Refuse an adapter whose changed base cannot be computed from the stored one."""
    init = written.get("init_lora_weights")
    if adapters.changes_base(written) and init not in REBUILT:
        raise UsageError(
            f"{directory}: init_lora_weights={init!r} changed the base by numbers that are not stored"
            f" with the adapter; allowed: {', '.join(map(repr, REBUILT))}, or one that leaves the base unchanged",
            next_command="save it with PEFT's `path_initial_model_for_weight_conversion`, then log it again",
        )
