"""Versions whose training run kept its splits, and recipes that judge them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
from tiny_models import build_tiny_adapter, build_tiny_model
from versions import log_version

from llmops import flavor
from llmops.recipe.load import load_recipe
from llmops.recipe.schema import Recipe
from llmops.records import BaseModel, ModelVersion

TRAINED = [f"Join the parts of pathname number {i} and return the whole." for i in range(6)]
HELD_OUT = [f"{'w' * i} {i} Split a pathname {i}." for i in range(1, 13)]
ANSWER = "Return it."


def lines(prompts: Sequence[str]) -> str:
    """Rows of a split as llmops.train writes them."""
    rows = [
        {"id": f"q{i}", "prompt": prompt, "completion": ANSWER, "group": f"g{i}"}
        for i, prompt in enumerate(prompts)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def suite_file(path: Path, prompts: Sequence[str] = HELD_OUT) -> Path:
    path.write_text(lines(prompts), encoding="utf-8")
    return path


def log_trained(
    adapter: Path, name: str = "bot", splits: Mapping[str, str] | None = None
) -> ModelVersion:
    """A version of the base ``tiny`` whose run holds its splits: path of the artifact → content."""
    if splits is None:
        splits = {"data/train.jsonl": lines(TRAINED), "data/test.jsonl": lines(HELD_OUT)}
    with mlflow.start_run():
        for path, content in splits.items():
            mlflow.log_text(content, path)
        return log_version(adapter, "tiny", name, alias="challenger")


def another_adapter(base: Path, folder: Path, seed: int = 5) -> Path:
    return build_tiny_adapter(base, folder / f"adapter{seed}", seed=seed)


def other_base(folder: Path) -> BaseModel:
    """Another base of the name ``tiny``: the same layout, other weights."""
    return flavor.add_base(build_tiny_model(folder / "other", seed=9), "tiny")


TINY = """\
schema_version: 1
name: bot
data: {path: own.csv, prompt: q, completion: a}
train: {base: tiny}
flavor: {model: bot}
compare: {scorers: [token_f1, likelihood], max_tokens: 4, method: fixed, traces: false}
gate: {require: [{metric: likelihood, must: not_regress, margin: 0.9}], min_prompts: 5}
serve: null
"""
"""A policy that the tiny model's adapters pass."""


def recipe_file(folder: Path) -> Path:
    path = folder / "bot.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def recipe(folder: Path, *overrides: str) -> Recipe:
    return load_recipe(recipe_file(folder), list(overrides))
