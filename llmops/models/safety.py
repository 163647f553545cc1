"""Checks before a model is loaded: complete, finite safetensors, and no code.

These checks read headers and numbers; they execute nothing and build no model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, NotFoundError, UsageError

CONFIG = "config.json"
MEGABYTE = 10**6
LARGEST_TEMPLATE, LARGEST_CONFIG, LARGEST_LIST = MEGABYTE, 10 * MEGABYTE, 500 * MEGABYTE
"""Bytes of a chat template, a configuration, and a list of tokens or tensors."""
LISTS = re.compile(r"tokenizer\.json|vocab\.json|.*\.index\.json")
TEMPLATES = "additional_chat_templates"
"""The only folder in a model's folder whose files are read."""
HUB_REPOSITORY = re.compile(r"(models|datasets|spaces)--.+")
"""Folder of a repository in the cache of ``huggingface_hub``."""
UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
ADAPTER_WEIGHTS = "adapter_model.safetensors"
# Trainers leave these beside the weights. llmops neither reads nor copies them.
TRAINING_STATE = re.compile(
    r"(training_args|(optimizer|scheduler|scaler|sampler|custom_checkpoint|dl_state_dict)(_\d+)?"
    r"|rng_state.*|random_states_\d+|pytorch_model_fsdp(_\d+)?|value_head|recipe_state"
    r"|.*_(optim|model)_states)\.(bin|pt|pth|pkl)"
)
"""Transformers' Trainer, accelerate, FSDP, DeepSpeed, TRL and torchtune, in this order."""

Shapes = dict[str, tuple[int, ...]]
"""Shape of each tensor by its name."""


def check_model(directory: Path) -> None:
    """Refuse a model directory that is not a complete, safe safetensors checkpoint.

    Raises:
        NotFoundError: There is no ``config.json``, no safetensors file, or a shard is missing.
        UsageError: There is a pickle file, which could execute code, or a configuration names code.
        IntegrityError: A file is damaged, weights are not finite, or the vocabulary is larger than
            the embedding.
    """
    check_weights(directory)
    check_code(directory)
    _check_index(directory)
    for file in sorted(directory.glob("*.safetensors")):
        check_finite(file)
    check_vocabulary(directory, vocabulary_size(directory), str(directory))


def check_weights(directory: Path) -> None:
    """Refuse a directory that holds no model.

    Raises:
        NotFoundError: There is no ``config.json`` or no safetensors file.
    """
    if not (directory / CONFIG).is_file() or not any(directory.glob("*.safetensors")):
        raise NotFoundError(
            f"{directory}: not a model directory: expected config.json and *.safetensors",
            next_command="llmops base add --help",
        )


def check_code(directory: Path) -> None:
    """Refuse pickle files that may be the weights, code, files that are too large, links that lead out.

    Beside an adapter in safetensors no pickle is its weights, so that all are ignored there.

    Raises:
        UsageError: There is a pickle file, or a configuration that names code.
        NotFoundError: There is a broken link.
        IntegrityError: A link leads out, a file is too large, or a configuration is not JSON.
    """
    check_links(directory)
    for path in _entries(directory):
        if path.suffix == ".jinja" and path.is_file():
            _check_size(path, LARGEST_TEMPLATE)
    unsafe = sorted(
        path.name
        for path in directory.iterdir()
        if path.suffix in UNSAFE_SUFFIXES and not TRAINING_STATE.fullmatch(path.name)
    )
    if (directory / ADAPTER_WEIGHTS).is_file() and not (directory / CONFIG).is_file():
        unsafe = []
    if unsafe:
        raise UsageError(
            f"{directory}: {', '.join(unsafe)} may hold pickled code; only safetensors are read",
            next_command="save the model with `save_pretrained(…)`, which writes safetensors",
        )
    for path in sorted(filter(Path.is_file, directory.glob("*config.json"))):
        if "auto_map" in read_json(path):
            raise UsageError(
                f"{path}: needs remote code (auto_map), which is never executed",
                next_command="use a model whose architecture is part of transformers",
            )


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a configuration file.

    Raises:
        IntegrityError: The file is too large, or not a JSON object.
    """
    _check_size(path, LARGEST_LIST if LISTS.fullmatch(path.name) else LARGEST_CONFIG)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{path}: damaged, not a JSON object: {error}") from error


def shapes(file: Path) -> Shapes:
    """Return the shapes in a safetensors file by tensor name, read from its header.

    Raises:
        IntegrityError: The header is damaged, or does not match the length of the file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as tensors:
            return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise IntegrityError(f"{file}: damaged safetensors file: {error}") from error


def check_finite(file: Path, *, only_floats: bool = False) -> None:
    """Read every number of a safetensors file; refuse NaN and infinity.

    Args:
        file: The file.
        only_floats: Whether to refuse integers and 8-bit floats too, as in quantised models.

    Raises:
        IntegrityError: The file is damaged, a weight is NaN or infinite, or a type is refused.
    """
    from safetensors import safe_open

    names = shapes(file)
    with safe_open(file, framework="pt") as tensors:
        for name in names:
            tensor = tensors.get_tensor(name)
            if only_floats and not (tensor.is_floating_point() and tensor.element_size() > 1):
                raise IntegrityError(
                    f"{file}: tensor {name} is {str(tensor.dtype).removeprefix('torch.')};"
                    " allowed: float64, float32, float16, bfloat16"
                )
            if tensor.is_floating_point() and not _finite(tensor):
                raise IntegrityError(
                    f"{file}: tensor {name} holds NaN or infinite weights; expected finite numbers",
                    next_command="resume training from the last checkpoint with a finite loss",
                )


def _finite(tensor: Any) -> bool:
    """Return whether all numbers are finite, in one pass: a NaN makes both extremes NaN."""
    import torch

    if tensor.numel() == 0:
        return True
    extremes = torch.aminmax(tensor if tensor.element_size() > 1 else tensor.float())
    return all(bool(torch.isfinite(extreme)) for extreme in extremes)


def vocabulary_size(directory: Path) -> int | None:
    """Return the rows of a model's embedding, ``None`` if its configuration does not say.

    Raises:
        IntegrityError: ``vocab_size`` is not a whole number above 0.
    """
    config = read_json(directory / CONFIG)
    text = config.get("text_config")
    size = config.get("vocab_size", text.get("vocab_size") if isinstance(text, dict) else None)
    if size is not None and (not isinstance(size, int) or size < 1):
        raise IntegrityError(
            f"{directory / CONFIG}: vocab_size must be a whole number above 0, received {size!r:.80}"
        )
    return size


def check_vocabulary(tokenizer_dir: Path, rows: int | None, model: str) -> None:
    """Refuse a tokenizer with token ids for which a model has no embedding.

    Args:
        tokenizer_dir: Holds ``tokenizer.json``; without one nothing is checked.
        rows: Rows of the model's embedding; ``None`` checks nothing.
        model: Name of the model in an error.

    Raises:
        IntegrityError: The largest token id has no embedding, or the file is damaged.
    """
    file = tokenizer_dir / "tokenizer.json"
    if rows is None or not file.is_file():
        return
    try:
        largest = max(_token_ids(read_json(file)), default=-1)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise IntegrityError(f"{file}: damaged: cannot read its vocabulary: {error}") from error
    if largest >= rows:
        raise IntegrityError(
            f"{file}: vocabulary mismatch: its largest token id is {largest}, but {model} has"
            f" {rows} embedding rows",
            next_command="log the tokenizer that the model was trained with, or the merged full model",
        )


def check_links(directory: Path) -> None:
    """Refuse what is read from a user's folder and lies elsewhere, or is no ordinary file.

    A link may lead to another file of the folder. In the cache of ``huggingface_hub``, which keeps
    files as links to its ``blobs``, it may lead there.

    Raises:
        NotFoundError: A symbolic link is broken, which would pass for a missing file.
        IntegrityError: A link leads elsewhere, or there is a pipe or device.
    """
    roots = _roots(directory)
    for path in _entries(directory):
        if path.is_symlink() and not path.exists():
            raise NotFoundError(f"{path}: a broken symbolic link to {path.readlink()}")
        _refuse_link(path, roots)
        if not (path.is_file() or path.is_dir()):
            raise IntegrityError(f"{path}: neither a file nor a folder: refused")


def check_inside(directory: Path) -> None:
    """Refuse symbolic links that lead out of a directory, wherever in it they are.

    Raises:
        IntegrityError: There is one.
    """
    for path in directory.rglob("*"):
        _refuse_link(path, [directory.resolve()])


def _entries(directory: Path) -> list[Path]:
    """Return what is in a model's folder and in the folder of its named chat templates, sorted."""
    folders = [directory, directory / TEMPLATES]
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())


def _roots(directory: Path) -> list[Path]:
    """Return the folders into which a link in a model's folder may lead."""
    root = directory.resolve()
    for snapshot in (root, *root.parents):
        repository = snapshot.parent.parent
        if snapshot.parent.name == "snapshots" and HUB_REPOSITORY.fullmatch(repository.name):
            return [root, repository / "blobs"]
    return [root]


def _refuse_link(path: Path, roots: Iterable[Path]) -> None:
    if not path.is_symlink():
        return
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # a loop
        target = Path(path.readlink())
    if not any(target.is_relative_to(root) for root in roots):
        raise IntegrityError(
            f"{path}: a symbolic link to {target}, outside {path.parent}: refused",
            next_command=f"if you want that file in the model: cp --remove-destination {target} {path}",
        )


def _check_size(path: Path, most: int) -> None:
    """Refuse a file that is far larger than any useful one, before it is read."""
    size = path.stat().st_size
    if size > most:
        raise IntegrityError(f"{path}: {size:,} bytes; such a file may have {most:,}")


def _token_ids(tokenizer: dict[str, Any]) -> Iterable[int]:
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    # WordPiece and BPE map tokens to ids; Unigram lists tokens in the order of their ids.
    ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
    yield from map(int, ids)
    yield from (int(token["id"]) for token in tokenizer.get("added_tokens", []))


def _check_index(directory: Path) -> None:
    """Refuse a checkpoint without one of the shards that its index names."""
    index = directory / "model.safetensors.index.json"
    if not index.is_file():
        return
    named = set(read_json(index).get("weight_map", {}).values())
    missing = sorted(name for name in named if not (directory / str(name)).is_file())
    if missing:
        raise NotFoundError(f"{directory}: {index.name} names {', '.join(missing)}: missing")
