"""The tensors in an adapter's file: under the names that PEFT loads, and without copies of the base.

Other releases of transformers name layers differently; PEFT renames, and for experts joins, the tensors
of such files on loading. PEFT also writes the embedding of the base beside the adapter if the adapter
targets it or if its vocabulary was changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, UsageError, first_line
from llmops.models import safety
from llmops.models.safety import Shapes
from llmops.records import BaseModel

MERGE = "log the full model instead: log_model(model.merge_and_unload(), tokenizer=…)"
PREFIX = "base_model.model."
WRAPPED = ("base_layer", "original_module")
"""Names under which PEFT keeps the module that an adapter wraps."""
TOKENS, SAVED = ".token_adapter.base_layer", ".modules_to_save"
"""Where PEFT keeps an embedding with trained tokens, and a fully trained one."""


def as_loaded(stored: Shapes, model: Any, name: str, file: Path) -> Shapes:
    """Return the shapes of stored tensors by the names, and in the form, that PEFT gives them.

    Args:
        stored: Shapes by the names in the file.
        model: A ``PeftModel`` that has the adapter's structure; no weight is read.
        name: The adapter's name in the model.
        file: The adapter's file, for an error.

    Raises:
        IntegrityError: PEFT cannot convert them.
    """
    import torch
    from peft.utils.transformers_weight_conversion import (
        convert_peft_adapter_state_dict_for_transformers as convert,
    )

    tensors = {key: torch.empty(shape, device="meta") for key, shape in stored.items()}
    try:
        converted = convert(model, model.peft_config[name], tensors, name)
    except Exception as error:  # tensors of another model can raise anything
        raise IntegrityError(
            f"{file}: its tensors cannot be converted for this release of transformers:"
            f" {first_line(error)}",
            next_command="load it with the release that it was trained with, and merge it into its base",
        ) from error
    return {key: tuple(tensor.shape) for key, tensor in converted.items()}


def copies(file: Path, extra: set[str], model: Any, base: BaseModel) -> set[str]:
    """Return the names of tensors in an adapter's file that repeat an embedding of its base.

    Args:
        file: The adapter's file.
        extra: Names of its tensors that have no place in the adapter.
        model: A ``PeftModel`` that has the adapter's structure; no weight of it is read.
        base: The base, whose embeddings are read.

    Raises:
        UsageError: An embedding has other rows or other values than that of the base.
    """
    from safetensors import safe_open

    owned = dict(_embedding_names(model))
    repeated = set()
    with safe_open(file, framework="pt") as stored:
        for key in sorted(extra & set(owned)):
            if SAVED in key:  # once more what the file has without this word; PEFT ignores it
                repeated.add(key)
                continue
            mine = stored.get_tensor(key)
            theirs = _of_base(base.directory, owned[key])
            if theirs is None:
                continue
            _check_rows(file, key, mine.shape[0], theirs.shape[0], base.name)
            _check_values(file, key, mine, theirs, base.name)
            repeated.add(key)
    return repeated


def check_vocabulary(
    file: Path, stored: Shapes, expected: Shapes, rows: int | None, base: str
) -> None:
    """Refuse an adapter whose only difference from its base is the number of embedding rows.

    Args:
        file: The adapter's file.
        stored: Shapes of its tensors.
        expected: Shapes of the tensors that its base has a place for.
        rows: Rows of the base's embedding; ``None`` checks nothing.
        base: Name of the base.

    Raises:
        UsageError: A token was added to the vocabulary in training.
    """
    if rows is None or set(stored) != set(expected):
        return
    changes = {
        key: _only_change(stored[key], shape)
        for key, shape in expected.items()
        if stored[key] != shape
    }
    if all(change is not None and change[1] == rows for change in changes.values()):
        for key, change in sorted(changes.items()):
            _check_rows(file, key, change[0] if change else rows, rows, base)


def _only_change(mine: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the two sizes where shapes differ, ``None`` if they differ in more than one place."""
    if len(mine) != len(theirs):
        return None
    changes = [pair for pair in zip(mine, theirs, strict=True) if pair[0] != pair[1]]
    return changes[0] if len(changes) == 1 else None


def _check_rows(file: Path, key: str, mine: int, theirs: int | None, base: str) -> None:
    if mine != theirs:
        raise UsageError(
            f"{file}: {key} has {mine} rows, one for each token of the vocabulary that it was trained"
            f" with, but its base {base} has {theirs}: tokens were added in training",
            next_command=f"merge the adapter into its resized base and {MERGE}",
        )


def _check_values(file: Path, key: str, mine: Any, theirs: Any, base: str) -> None:
    import torch

    if mine.shape != theirs.shape or not torch.equal(theirs.to(mine.dtype), mine):
        raise UsageError(
            f"{file}: {key} is an embedding of the base, but with other values than in {base}: the"
            " model is more than this base with an adapter",
            next_command=f"merge the adapter into the base that it was trained on and {MERGE}",
        )


def _embedding_names(model: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield the names that an embedding's tensor may have in a file of the adapter.

    Yields:
        Such a name, with the names that the tensor may have in the base, the likeliest first.
    """
    named = {module: name for name, module in model.named_modules()}
    ends = model.get_input_embeddings(), model.get_output_embeddings()
    modules = [_unwrapped(module) for module in ends if module is not None]
    first = [_plain(named[module]) for module in modules[:1]]
    for module in modules:
        plain = _plain(named[module])
        for parameter, _ in module.named_parameters(recurse=False):
            sources = [f"{plain}.{parameter}"]
            if model.get_base_model().config.get_text_config().tie_word_embeddings:
                sources += [f"{name}.{parameter}" for name in first]
            for place in ("", *(f".{name}" for name in WRAPPED), TOKENS, SAVED):
                yield f"{PREFIX}{plain}{place}.{parameter}", sources


def _unwrapped(module: Any) -> Any:
    """Return the module of the base that a module of PEFT wraps."""
    for name in WRAPPED:
        module = getattr(module, name, module)
    return module


def _plain(name: str) -> str:
    """Return a module's name in the base."""
    parts = name.removeprefix(PREFIX).split(".")
    return ".".join(part for part in parts if part not in (*WRAPPED, "token_adapter"))


def _of_base(directory: Path, names: list[str]) -> Any:
    """Return the tensor of a base with one of these names, ``None`` if it has none.

    Older checkpoints put other words in front of a name, so that its last two words count as well.
    """
    from safetensors import safe_open

    where = {key: file for file in directory.glob("*.safetensors") for key in safety.shapes(file)}
    for name in names:
        tail = ".".join(name.rsplit(".", 2)[-2:])
        alike = [key for key in where if key == tail or key.endswith(f".{tail}")]
        found = name if name in where else alike[0] if len(alike) == 1 else None
        if found is not None:
            with safe_open(where[found], framework="pt") as stored:
                return stored.get_tensor(found)
    return None
