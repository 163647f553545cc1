"""Adapters beside their base model: all in memory, one of them (or none) active.

PEFT leaves tensors that a file lacks at their random start and drops those that it does not
know. Here the tensors of the file are compared with those of the model before they are read.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmops.engine.local import adapter_copies
from llmops.engine.local.adapter_copies import Original
from llmops.errors import IntegrityError, LlmopsError, UsageError, first_line
from llmops.models import adapters, peft_config
from llmops.records import ModelFiles


def load_adapters(model: Any, sides: Sequence[ModelFiles]) -> Any:
    """Puts the adapters of the sides beside their base.

    Args:
        model: The base in memory; it becomes part of the result.
        sides: Adapters with the same digest are loaded once.

    Returns:
        The base itself if no side has an adapter, else a ``PeftModel``.

    Raises:
        UsageError: An adapter cannot be loaded, or not together with the others.
        IntegrityError: An adapter does not fit the base.
    """
    found = _directories(sides)
    configs = {name: peft_config.read_config(directory) for name, directory in found.items()}
    # PEFT 0.21.2 loads no other adapter once there is one with trained tokens
    configs = dict(sorted(configs.items(), key=lambda item: bool(item[1].trainable_token_indices)))
    answering = len({side.adapter_digest for side in sides})
    peft_config.check_company({found[name]: config for name, config in configs.items()}, answering)
    base = sides[0].base.name
    originals: list[Original] = []
    for name, config in configs.items():
        settings = peft_config.plain_settings(config)
        twin = next((one for one in originals if one.settings == settings), None)
        if twin is not None:
            adapters.check_tensors(found[name], twin.tensors, base)
            adapter_copies.attach(twin, name, found[name] / adapters.WEIGHTS)
            model.peft_config[name] = config
            continue
        model = _load(model, name, found[name], config, base)
        if settings is not None:
            originals.append(
                adapter_copies.original(
                    model, name, settings, peft_config.expected_tensors(model, name)
                )
            )
    return model.eval()


def _directories(sides: Sequence[ModelFiles]) -> dict[str, Path]:
    """By digest, which is also the adapter's name in the model."""
    found = {
        side.adapter_digest: side.adapter_dir
        for side in sides
        if side.adapter_digest is not None and side.adapter_dir is not None
    }
    for directory in found.values():
        if not (directory / adapters.WEIGHTS).is_file():  # else PEFT looks for a pickle
            raise IntegrityError(f"{directory}: holds no {adapters.WEIGHTS}; nothing else is read")
    return found


def unwrapped(model: Any) -> Any:
    """The model of transformers inside one of PEFT, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def select(model: Any, name: str | None) -> None:
    """Makes one adapter active, or none."""
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return
    if name is None:
        model.base_model.disable_adapter_layers()
    else:
        model.base_model.enable_adapter_layers()
        model.set_adapter(name, inference_mode=True)


def _load(model: Any, name: str, directory: Path, config: Any, base: str) -> Any:
    """An adapter by PEFT's own means: first its structure, and its tensors once they fit."""
    from peft import PeftModel, PeftModelForCausalLM

    first = not isinstance(model, PeftModel)
    try:
        with warnings.catch_warnings():  # PEFT 0.21.2 asks transformers 5 by a name of old
            warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
            if first:
                model = PeftModelForCausalLM(model, config, name)
            else:
                _add(model, name, config)
            adapters.check_tensors(directory, peft_config.expected_tensors(model, name), base)
            device = str(model.get_input_embeddings().weight.device)  # PEFT would take a free GPU
            model.load_adapter(directory, name, torch_device=device)
    except LlmopsError:
        raise
    except Exception as error:  # odd values end in any exception
        said = first_line(error)
        if first:
            raise IntegrityError(
                f"{directory}: the adapter does not fit its base: {said}"
            ) from error
        raise UsageError(
            f"{directory}: cannot be loaded beside the adapters before it: {said}",
            next_command="load it in an engine of its own",
        ) from error
    return model


def _add(model: Any, name: str, config: Any) -> None:
    """Adds the structure of a further adapter."""
    with warnings.catch_warnings():  # PEFT would go on, and fail at the first prompt
        warnings.filterwarnings("error", "Unsupported layer type .*Wrapper")
        model.add_adapter(name, config)
