"""The main path: data → train → flavor → compare → gate → serve, each a function of its own."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from llmops.compare import comparison_run, load_suite
from llmops.compare.baseline import baseline, remembered_baseline
from llmops.data import prepare
from llmops.files import digest
from llmops.files.workspace import workspace
from llmops.flavor import ensure_base, log_model
from llmops.gate import gate, promote, record
from llmops.models import versions
from llmops.models.resolve import resolve
from llmops.progress import say
from llmops.recipe.schema import Recipe
from llmops.records import (
    Comparison,
    Decision,
    ModelFiles,
    ModelVersion,
    PreparedData,
    Sampling,
    Suite,
    TrainResult,
)
from llmops.serve import smoke_test
from llmops.store import connection, registry, runs, tags
from llmops.train import train


@dataclass(frozen=True)
class Outcome:
    """What a run of the whole loop came to.

    Attributes:
        answer: What the served champion said, ``None`` if nothing was promoted or served.
        seconds: Wall time of this process.
    """

    recipe: Recipe
    data: PreparedData
    trained: TrainResult
    version: ModelVersion
    comparison: Comparison
    decision: Decision
    answer: str | None
    seconds: float


def run(recipe: Recipe) -> Outcome:
    """Run the loop; a killed run goes on where it was when called again.

    Raises:
        LlmopsError: A stage failed. What it had finished is kept, nothing is half registered.
    """
    begun = time.monotonic()
    with workspace_of(recipe) as work:
        data, trained, version = fine_tune(recipe, work)
        against = remembered_baseline(work, recipe, version)
        comparison, decision = judge(recipe, version.uri, test_suite(recipe, data), against)
        answer = None
        if decision.passed:
            promote(version.uri, alias=recipe.gate.on_pass)
            say(f"gate: {version.uri} is @{recipe.gate.on_pass} now")
            answer = serve(recipe, version.uri, data)
    seconds = time.monotonic() - begun
    return Outcome(recipe, data, trained, version, comparison, decision, answer, seconds)


def workspace_of(recipe: Recipe) -> AbstractContextManager[Path]:
    """Connect to MLflow, switch to the recipe's experiment and lock the recipe's workspace.

    Raises:
        StoreError: The MLflow store does not answer.
        UsageError: Another process runs the same recipe.
    """
    uri = connection.connect()
    connection.use_experiment(recipe.name)
    key = digest.of_record([recipe.digest(), uri, str(Path.cwd())])[:12]
    return workspace(recipe.name, key)


def fine_tune(recipe: Recipe, work: Path) -> tuple[PreparedData, TrainResult, ModelVersion]:
    """Prepare the data, train on it, and register the adapter."""
    data = prepare(recipe.data, work / "data", name=recipe.name, seed=recipe.seed)
    counts = ", ".join(f"{split.rows} {split.name}" for split in data.splits)
    say(f"data: {counts} examples from {data.source}")
    fewest = recipe.gate.min_prompts
    if data.test.rows < fewest:
        say(f"data: fewer test rows than gate.min_prompts={fewest}: no version can pass")
    base = ensure_base(recipe.train.base)
    key = digest.of_record([data.digest, base.digest])[:12]
    trained = train(recipe, data, base, work / f"train-{key}")
    return data, trained, register(recipe, data, trained)


def register(recipe: Recipe, data: PreparedData, trained: TrainResult) -> ModelVersion:
    """Register the adapter, once for each training run."""
    model = recipe.flavor.model
    number = registry.version_of_run(model, trained.run_id)
    if number is None:
        with runs.resumed_run(trained.run_id):
            info = log_model(
                trained.adapter_dir,
                base=trained.base,
                registered_model_name=model,
                tags={tags.RECIPE_DIGEST: recipe.digest(), tags.DATA_DIGEST: data.digest},
                step=trained.steps,
            )
        number = str(info.registered_model_version)
    version = versions.get_version(model, number)
    registry.set_alias(model, recipe.flavor.alias, version.version)
    say(f"flavor: registered {version.uri} @{recipe.flavor.alias}")
    runs.rename_run(trained.run_id, f"v{version.version} train")
    return version


def judge(
    recipe: Recipe, candidate: str | ModelFiles, suite: Suite, against: str | None = None
) -> tuple[Comparison, Decision]:
    """Compare, decide, and record both; no alias moves."""
    files = resolve(candidate) if isinstance(candidate, str) else candidate
    registry.parse(files.uri)  # only a registered version can bear a verdict
    other = resolve(against or baseline(recipe, files.base))
    say(f"compare: {files.uri} against {other.uri} on {len(suite.examples)} held-out prompts")
    with comparison_run(other, files, suite, recipe.compare, recipe.gate) as comparison:
        decision = gate(comparison, recipe.gate)
        record(comparison, decision)
    return comparison, decision


def test_suite(recipe: Recipe, data: PreparedData) -> Suite:
    """Read the held-out split as a suite."""
    return load_suite(data.test.path, name=f"{recipe.name}-test")


def serve(recipe: Recipe, uri: str, data: PreparedData) -> str | None:
    """Start the winner, ask it once whole and once streamed, and stop it again."""
    if recipe.serve is None:
        return None
    prompt = recipe.serve.prompt or load_suite(data.test.path).examples[0].messages[0]["content"]
    return smoke_test(recipe.name, uri, prompt, Sampling(max_tokens=recipe.serve.max_tokens))
