"""The main path: data → train → flavor → compare → gate → serve, each stage a call of its own."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from llmops import errors, records
from llmops.compare import load_suite
from llmops.compare.baseline import remembered_baseline
from llmops.data import account, prepare
from llmops.files import digest
from llmops.files.workspace import workspace
from llmops.flavor import ensure_base
from llmops.flavor.trained import register
from llmops.gate import promote
from llmops.judging import judge
from llmops.models.resolve import resolve
from llmops.progress import say
from llmops.recipe import Recipe
from llmops.records import Sampling, Suite
from llmops.serve import smoke_test
from llmops.store import connection
from llmops.train import train

__all__ = ["Outcome", "fine_tune", "judge", "run"]


@dataclass(frozen=True)
class Outcome:
    """The results of all stages, the served champion's answer if any, and the wall time in seconds.

    Comparison and decision are ``None`` if the version has the same bytes as its baseline, as after
    an unchanged recipe: then there is nothing to compare, and no alias moves. The comparison alone is
    ``None`` if the decision was made before. ``refusal`` says why a version that passed was not promoted.
    """

    recipe: Recipe
    data: records.PreparedData
    trained: records.TrainResult
    version: records.ModelVersion
    baseline: str
    comparison: records.Comparison | None
    decision: records.Decision | None
    answer: str | None
    seconds: float
    refusal: errors.UsageError | None = None

    @property
    def passed(self) -> bool:
        """Whether the version was promoted."""
        return self.decision is not None and self.decision.passed and self.refusal is None

    @property
    def exit_code(self) -> int:
        """Exit code of the process: the gate's, or 0 if there was nothing to compare."""
        if self.refusal is not None:
            return self.refusal.exit_code
        return errors.EXIT_OK if self.decision is None else self.decision.exit_code


def run(recipe: Recipe) -> Outcome:
    """Run the whole loop of a recipe; called again after it was killed, resume it.

    Args:
        recipe: The recipe, from ``load_recipe``.

    Returns:
        The results of all stages; a candidate that is not promoted is a result, not an error.

    Raises:
        LlmopsError: A stage failed. Finished stages are kept; no version is left incomplete.

    Example:
        outcome = run(load_recipe(Path("recipes/quickstart/recipe.yaml")))
    """
    begun = time.monotonic()
    with workspace_of(recipe) as work:
        data, trained, version = fine_tune(recipe, work)
        against = resolve(remembered_baseline(work, recipe.policy(), version))
        suite = load_suite(data.test.path, name=f"{recipe.name}-test")
        comparison: records.Comparison | None = None
        decision: records.Decision | None = None
        answer, refusal = None, None
        if version.digest == against.digest:
            say(f"compare: {version.uri} has the same bytes as {against.uri}: nothing to compare")
        else:
            comparison, decision = judge(recipe.policy(), version.uri, suite, against)
        if decision is not None and decision.passed:
            refusal = promoted(version.uri, recipe.gate.on_pass)
            answer = None if refusal else serve(recipe, version.uri, suite)
    return Outcome(
        recipe=recipe,
        data=data,
        trained=trained,
        version=version,
        baseline=against.uri,
        comparison=comparison,
        decision=decision,
        answer=answer,
        seconds=time.monotonic() - begun,
        refusal=refusal,
    )


def workspace_of(recipe: Recipe) -> AbstractContextManager[Path]:
    """Connect to MLflow, switch to the recipe's experiment and lock the recipe's workspace.

    Raises:
        StoreError: The MLflow store does not answer.
        UsageError: Another process runs the same recipe; raised on entering the context.
    """
    key = digest.of_record([recipe.digest(), connection.connect(), str(Path.cwd())])[:12]
    connection.use_experiment(recipe.name)
    return workspace(recipe.name, key)


def fine_tune(
    recipe: Recipe, work: Path
) -> tuple[records.PreparedData, records.TrainResult, records.ModelVersion]:
    """Prepare the data, train an adapter on them, and register it.

    Args:
        recipe: The recipe.
        work: Folder for splits and checkpoints; a killed call resumes from it.

    Returns:
        The prepared data, the training run and the registered version.

    Raises:
        LlmopsError: A stage failed. Finished stages are kept in ``work``.

    Example:
        data, trained, version = fine_tune(recipe, Path("work"))
    """
    data = prepare(recipe.data, work / "data", name=recipe.name, seed=recipe.seed)
    counts = ", ".join(f"{split.rows} {split.name}" for split in data.splits)
    say(f"data: {counts} examples from {data.source}")
    for line in account(data):
        say(f"data: {line}")
    if data.test.rows < (fewest := recipe.gate.min_prompts):
        say(f"data: fewer test rows than gate.min_prompts={fewest}: no version can pass")
    base = ensure_base(recipe.train.base)
    key = digest.of_record([data.digest, base.digest])[:12]
    trained = train(recipe, data, base, work / f"train-{key}")
    return data, trained, register(recipe, data, trained)


def promoted(uri: str, alias: str) -> errors.UsageError | None:
    """Promote a version that passed; return why that is refused, ``None`` if it is not."""
    try:
        promote(uri, alias=alias)
    except errors.UsageError as refusal:
        say(f"gate: {uri} passed, but is not promoted")
        return refusal
    say(f"gate: {uri} is @{alias} now")
    return None


def serve(recipe: Recipe, uri: str, suite: Suite) -> str | None:
    """Deploy the winner for a smoke test, and return its answer."""
    if recipe.serve is None:
        return None
    prompt = recipe.serve.prompt or suite.examples[0].messages[0]["content"]
    sampling = Sampling(max_tokens=recipe.serve.max_tokens)
    return smoke_test(recipe.name, uri, prompt, sampling)
