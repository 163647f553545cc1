"""Load adapters into their base model; at most one of them is active at a time.

PEFT leaves tensors that are missing from a file at their random initial values, and drops unknown
ones. Here the tensors of the file are compared with those of the model before they are read.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.engine.local import adapter_copies
from llmops.engine.local.adapter_copies import Original
from llmops.engine.sides import ApartError
from llmops.errors import IntegrityError, LlmopsError, first_line
from llmops.models import adapter_tensors, adapters, peft_config, safety
from llmops.models.foreign import patterns
from llmops.records import ModelFiles


def load_adapters(model: Any, sides: Sequence[ModelFiles]) -> Any:
    """Load the adapters of the sides into their base model.

    If one of them cannot be loaded, the model keeps those that it had before.

    Args:
        model: The base model in memory, or a ``PeftModel`` that has some of the adapters already; it
            becomes part of the result.
        sides: Sides that share the base model; adapters with the same digest are loaded once.

    Returns:
        The base model itself if no side has an adapter, else a ``PeftModel``.

    Raises:
        UsageError: An adapter cannot be loaded, or not together with the others.
        IntegrityError: An adapter does not fit the base model.
    """
    directories = _directories(sides)
    configs = {name: peft_config.read_config(folder) for name, folder in directories.items()}
    # PEFT 0.21.2 cannot load another adapter after one with trained tokens.
    configs = dict(sorted(configs.items(), key=lambda item: bool(item[1].trainable_token_indices)))
    answering = len({side.adapter_digest for side in sides})
    peft_config.check_company(
        {directories[name]: config for name, config in configs.items()}, answering
    )
    return _loaded(model, directories, configs, sides[0].base.name).eval()


def _loaded(
    model: Any, directories: Mapping[str, Path], configs: Mapping[str, Any], base: str
) -> Any:
    """Load the adapters that a model lacks, as copies of others where possible."""
    there, originals = adapters_of(model), list[Original | None]()
    plain = {name: peft_config.plain_settings(config) for name, config in configs.items()}
    for name, config in configs.items():
        if name in there:
            continue
        settings, shapes = plain[name], safety.shapes(directories[name] / adapters.WEIGHTS)
        if settings is not None and all(
            one is None or one.settings != settings for one in originals
        ):
            like = [one for one in there if plain[one] == settings]
            originals += [_original(model, one, configs[one], settings) for one in like[:1]]
        alike = (one for one in originals if one and one.settings == settings)
        source = next((one for one in alike if one.tensors == shapes), None)
        if source is not None:
            adapter_copies.attach(source, name, directories[name] / adapters.WEIGHTS)
            model.peft_config[name] = config
            continue
        before = model
        try:
            model = _load(model, name, directories[name], config, base)
        except LlmopsError:
            remove_adapter(before, name)
            raise
        originals.append(_original(model, name, config, settings))
    return model


def adapters_of(model: Any) -> set[str]:
    """Return the names of the adapters that a model has."""
    from peft import PeftModel

    return set(model.peft_config) if isinstance(model, PeftModel) else set()


def remove_adapter(model: Any, name: str) -> Any:
    """Remove an adapter, or what a failed load left of it, and free its memory.

    Args:
        model: A ``PeftModel``, or a base model in which PEFT could not build the adapter.
        name: Name of the adapter.

    Returns:
        The model without it: the base model itself if it was the last.
    """
    from peft import PeftModel

    if adapters_of(model) == {name}:
        return model.unload()
    if isinstance(model, PeftModel):
        with warnings.catch_warnings():  # it was active
            warnings.filterwarnings("ignore", ".*delete", UserWarning)
            if name in model.peft_config:
                model.delete_adapter(name)
    elif hasattr(model, "peft_config"):
        del model.peft_config
    _unwrap(model, every=not isinstance(model, PeftModel))
    return model


def _unwrap(model: Any, *, every: bool) -> None:
    """Put the layers of the base model back where PEFT wrapped them.

    Args:
        model: A model from transformers or PEFT.
        every: All layers, rather than those that no adapter uses.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    inside = "/"  # the path of the last wrapper, which contains wrappers of its own
    for path, module in [*model.named_modules()]:
        if path.startswith(inside):
            continue
        if isinstance(module, AuxiliaryTrainingWrapper):
            plain, used = module.original_module, adapters_of(model)
            if not every and any(f".{name}" in key for name in used for key in _names(module)):
                continue
        elif isinstance(module, BaseTunerLayer):
            plain = module.get_base_layer()
            if not every and any(len(getattr(module, n)) for n in module.adapter_layer_names):
                continue
        else:
            continue
        parent, _, child = path.rpartition(".")
        setattr(model.get_submodule(parent), child, plain)
        inside = f"{path}."


def _names(module: Any) -> list[str]:
    return [name for name, _ in module.named_parameters()]


def _original(
    model: Any, name: str, config: Any, settings: Mapping[str, Any] | None
) -> Original | None:
    """Describe an adapter in memory that others can be copied from; ``None`` if none can.

    PEFT rewrites the settings of adapters of experts, which this release may keep elsewhere.

    Args:
        model: The ``PeftModel``.
        name: Its name in the model.
        config: Its configuration.
        settings: What the configuration said before PEFT built the adapter.
    """
    if settings is None or settings != peft_config.plain_settings(config):
        return None
    return adapter_copies.original(model, name, settings, peft_config.expected_tensors(model, name))


def _directories(sides: Sequence[ModelFiles]) -> dict[str, Path]:
    """Return the adapter directories by digest, which is also the adapter's name in the model."""
    directories = {
        side.adapter_digest: side.adapter_dir
        for side in sides
        if side.adapter_digest is not None and side.adapter_dir is not None
    }
    for directory in directories.values():
        if not (directory / adapters.WEIGHTS).is_file():  # PEFT would look for a pickle instead
            raise IntegrityError(
                f"{directory}: contains no {adapters.WEIGHTS}, the only format that is read"
            )
    return directories


def unwrapped(model: Any) -> Any:
    """Return the transformers model inside a PEFT model, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def select(model: Any, name: str | None) -> None:
    """Activate one adapter, or none.

    Args:
        model: A model from transformers or PEFT.
        name: Name of the adapter, ``None`` to disable all adapters.
    """
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return
    if name is None:
        model.base_model.disable_adapter_layers()
    else:
        model.base_model.enable_adapter_layers()
        model.set_adapter(name, inference_mode=True)


def _load(model: Any, name: str, directory: Path, config: Any, base: str) -> Any:
    """Load an adapter with PEFT: first its structure, then its tensors if they fit."""
    from peft import PeftModel, PeftModelForCausalLM

    first = not isinstance(model, PeftModel)
    modules = (module for module, _ in unwrapped(model).named_modules())
    patterns.check(str(directory / adapters.CONFIG), config, modules)
    try:
        with warnings.catch_warnings():  # PEFT 0.21.2 uses a deprecated name of transformers 5
            warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
            if first:
                model = PeftModelForCausalLM(model, config, name)
            else:
                _add(model, name, config)
            _check(model, name, directory, base)
            device = str(model.get_input_embeddings().weight.device)  # PEFT would pick any GPU
            model.load_adapter(directory, name, torch_device=device)
    except LlmopsError:
        raise
    except Exception as error:  # malformed values can raise anything
        reason = first_line(error)
        if first:
            raise IntegrityError(
                f"{directory}: the adapter does not fit its base: {reason}"
            ) from error
        raise ApartError(
            f"{directory}: cannot be loaded together with the adapters before it: {reason}",
            next_command="load this adapter in a separate engine",
        ) from error
    return model


def _check(model: Any, name: str, directory: Path, base: str) -> None:
    """Compare an adapter's file with its structure in the model; see ``adapters.check_tensors``."""
    file = directory / adapters.WEIGHTS
    expected = peft_config.expected_tensors(model, name)
    stored = safety.shapes(file)
    if stored != expected:
        stored = adapter_tensors.as_loaded(stored, model, name, file)
    adapters.check_tensors(directory, stored, expected, base)


def _add(model: Any, name: str, config: Any) -> None:
    """Add the structure of another adapter."""
    with warnings.catch_warnings():  # PEFT only warns, and then fails at the first prompt
        warnings.filterwarnings("error", "Unsupported layer type .*Wrapper")
        model.add_adapter(name, config)
