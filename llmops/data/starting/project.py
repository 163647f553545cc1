"""The recipe that ``llmops init`` writes: it runs unedited, and says in comments what to change."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llmops.data.starting.fitting import Fit
from llmops.errors import LlmopsError, UsageError
from llmops.files.home import write_whole
from llmops.recipe import catalog, load_recipe

REQUIRED: Mapping[str, Sequence[str]] = {
    "exact": ("{metric: exact, must: improve}",),
    "json_fields": ("{metric: json_fields, must: improve}",),
    "token_f1": (
        "{metric: likelihood, must: improve}",
        "{metric: token_f1, must: not_regress, margin: 0.05}",
    ),
}
"""What the gate asks for, by metric."""
SCORERS: Mapping[str, Sequence[str]] = {
    "exact": ("exact",),
    "json_fields": ("json_fields", "exact"),
    "token_f1": ("token_f1", "rouge_l", "likelihood"),
}


@dataclass(frozen=True)
class Project:
    """What a recipe is made of.

    Attributes:
        name: Name of the experiment and of the registered model.
        data: Keys of the ``data`` section, without the paths.
        file: The examples.
        test: A test file of the user; ``None`` for a share of the examples.
        base: Base model.
        fit: Settings that fit the file.
        on_cpu: Whether the first run is to be short.
    """

    name: str
    data: Mapping[str, Any]
    file: Path
    test: Path | None
    base: str
    fit: Fit
    on_cpu: bool


def write(project: Project, folder: Path) -> Path:
    """Write the recipe, whole or not at all, and check that it can be read.

    Args:
        project: What it is made of.
        folder: Folder to create.

    Returns:
        The file.

    Raises:
        UsageError: The folder has a recipe already.
        LlmopsError: It cannot be written, or not be read again; then no file is left.
    """
    refuse_existing(folder)
    path = folder / catalog.RECIPE_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, text(project, folder))
    except OSError as error:
        raise LlmopsError(
            f"{path}: cannot be written: {error}",
            next_command="free disk space or fix permissions, then rerun",
        ) from error
    try:
        load_recipe(path)
    except LlmopsError:
        path.unlink()  # the next try would find a recipe here
        raise
    return path


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that has a recipe already.

    Raises:
        UsageError: As said.
    """
    path = folder / catalog.RECIPE_FILE
    if path.exists():
        raise UsageError(
            f"{path}: already exists",
            next_command=f"llmops run {shlex.quote(str(folder))}, or choose another folder with --out FOLDER",
        )


def text(project: Project, folder: Path) -> str:
    """Return the recipe with its comments.

    Args:
        project: What it is made of.
        folder: Folder in which it will lie; paths are relative to it.
    """
    fit, typed = project.fit, shlex.quote(str(folder)).replace("\n", " ")
    sections = [
        f"# Run:  llmops run {typed}\n# Keys: llmops validate {typed}, docs/reference/recipe.md",
        "schema_version: 1\n" + _dumped({"name": project.name}),
        "data:\n" + _indented(_data(project, folder)),
        "train:\n" + _indented({"base": project.base, **_training(project)}),
        "flavor:\n" + _indented({"model": project.name}),
        f"compare:\n  scorers: [{', '.join(SCORERS[fit.metric])}]  # {fit.why}\n"
        f"  max_tokens: {fit.max_tokens}  # longer answers are cut before they are scored",
        "gate:  # the policy: what a version must show to become champion\n"
        "  require:\n" + "\n".join(f"    - {each}" for each in REQUIRED[fit.metric]),
        f"serve:\n  max_tokens: {fit.max_tokens}",
        "cost:\n  usd_per_hour: 0.10  # enter the price of your machine",
    ]
    return "\n\n".join(_commented(section) for section in sections) + "\n"


def _data(project: Project, folder: Path) -> dict[str, Any]:
    keys: dict[str, Any] = {"path": _relative(project.file, folder), **project.data}
    if project.test is None:
        keys["test_fraction"] = project.fit.test_fraction
    else:
        keys["test"] = {"path": _relative(project.test, folder)}
    return keys


def _training(project: Project) -> dict[str, Any]:
    keys: dict[str, Any] = {"max_length": project.fit.max_length, "learning_rate": 3e-4}
    if project.fit.long:
        keys["too_long"] = "drop"
    if project.on_cpu and project.fit.steps is not None:
        keys["max_steps"] = project.fit.steps
    return keys


def _commented(section: str) -> str:
    """Return the section with a comment where a first run is shortened."""
    lines = section.split("\n")
    return "\n".join(
        f"{line}  # about 5 minutes on a CPU; remove it to train on every row"
        if line.startswith("  max_steps:")
        else line
        for line in lines
    )


def _indented(keys: Mapping[str, Any]) -> str:
    return "\n".join(f"  {line}" for line in _dumped(keys).split("\n"))


def _dumped(keys: Mapping[str, Any]) -> str:
    """Return keys as YAML; a text that YAML would read as something else, such as 123, is quoted."""
    dumped = yaml.dump(dict(keys), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return str(dumped).strip()


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as such, and not in quotes."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _relative(path: Path, folder: Path) -> str:
    try:
        near = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return str(path.resolve())
    return str(path.resolve()) if near.startswith("../../..") else near
