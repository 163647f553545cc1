"""The A/B harness: sides that share a base share an engine, and every metric is tested in pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from llmops.compare.answers.blocks import SuiteAnswers, repeated
from llmops.compare.arguments import ScorerLike, Settings, SuiteLike, with_settings
from llmops.compare.cache import MEMORY, ResultCache
from llmops.compare.destinations import announce
from llmops.compare.results import comparison_of, with_trained, with_trajectories
from llmops.compare.setup import BLOCK, Options, Setup, set_up
from llmops.compare.stopping import ask_until_decided
from llmops.compare.tracking.runs import log_comparisons, opened_run, publish_reports
from llmops.recipe.schema import Compare, Gate, Requirement
from llmops.records import Comparison, Frozen, Side, Suite
from llmops.store import tags

Freeze = Callable[[str], Frozen]
"""A function that records in the open run with this id what is to be decided, before it is asked."""


def compare(
    baseline: str | Side,
    candidate: str | Side,
    suite: SuiteLike,
    config: Compare | None = None,
    *,
    scorers: ScorerLike | Sequence[ScorerLike] | None = None,
    questions: Sequence[Requirement] = (),
    min_prompts: int = 0,
    block: int = BLOCK,
    cache: bool = True,
    **settings: Unpack[Settings],
) -> Comparison:
    """Compare two sides on held-out prompts and log the result to MLflow.

    Args:
        baseline: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, ``models:/m-…``, ``runs:/…``, a
            registered base, or ``openai:URL#MODEL``.
        candidate: The side that should be better; named likewise.
        suite: Held-out prompts: a suite, or what ``load_suite`` reads, such as a list of dictionaries.
        config: The recipe's ``compare`` section: scorers, method, answer length, confidence.
        scorers: Scorers to use instead of those of ``config``, one or several: names, functions of
            ``answer`` and ``expected`` that return a number from 0 to 1, or scorers of MLflow.
        questions: Requirements that early stopping waits for; default: the first scorer improves.
        min_prompts: Number of prompts before which it does not stop.
        block: Number of prompts between two looks, by default 32.
        cache: Whether cached answers are used and new ones are cached.
        **settings: Keys of ``config`` to set, such as ``max_tokens=8``.

    Returns:
        Every metric of both sides with its paired test, and every row.

    Raises:
        UsageError: The sides are the same bytes, a scorer cannot judge them, a question has no
            scorer, or an argument is of the wrong type.
        NotFoundError: A side does not exist.
        DataError: The suite cannot be used, or fewer than two prompts, or than ``min_prompts``, are
            left without those that a side was trained on.
        IntegrityError: A side's bytes are not those that were recorded, or its adapter has no effect.
        StoreError: The MLflow store refuses or does not answer.
        LlmopsError: A side gave no answer at all, or many prompts got none from either side.

    Example:
        from llmops.compare import compare

        comparison = compare("models:/bot@champion", "models:/bot/4", "test.jsonl")
        print(comparison.metric("token_f1").test)
    """
    options = Options(scorers, questions, min_prompts, block, cache)
    return _published(baseline, [candidate], suite, with_settings(config, settings), options)[0]


def compare_all(
    baseline: str | Side,
    candidates: Sequence[str | Side],
    suite: SuiteLike,
    config: Compare | None = None,
    *,
    scorers: ScorerLike | Sequence[ScorerLike] | None = None,
    questions: Sequence[Requirement] = (),
    min_prompts: int = 0,
    block: int = BLOCK,
    cache: bool = True,
    **settings: Unpack[Settings],
) -> tuple[Comparison, ...]:
    """Compare several candidates with the same baseline on the same prompts.

    Their intervals hold simultaneously: the confidence of each is raised by Bonferroni's correction.

    Args:
        baseline: See ``compare``.
        candidates: The sides that should be better; 1 to 25.
        suite: See ``compare``.
        config: See ``compare``.
        scorers: See ``compare``.
        questions: See ``compare``; each is decided for every candidate.
        min_prompts: See ``compare``.
        block: See ``compare``.
        cache: See ``compare``.
        **settings: See ``compare``.

    Returns:
        A comparison for each candidate, in their order.

    Raises:
        UsageError: See ``compare``; also if two candidates are the same bytes.
        LlmopsError: See ``compare`` for the other errors.

    Example:
        from llmops.compare import compare_all, standings

        comparisons = compare_all("models:/bot@champion", ["models:/bot/4", "models:/bot/5"], "test.jsonl")
        best = standings(comparisons)[0]
    """
    options = Options(scorers, questions, min_prompts, block, cache)
    return _published(baseline, candidates, suite, with_settings(config, settings), options)


@contextmanager
def comparison_run(
    baseline: str | Side,
    candidate: str | Side,
    suite: str | Path | Suite,
    config: Compare,
    policy: Gate,
    *,
    scorers: ScorerLike | Sequence[ScorerLike] | None = None,
    cache: bool = True,
    freeze: Freeze | None = None,
) -> Iterator[Comparison]:
    """Compare two sides for a gate, in an MLflow run that stays open for the decision.

    The run is opened before the first answer, and ``freeze`` records there what is to be decided; its
    level replaces ``compare.confidence``. The caller publishes the report within the block. The run
    becomes FINISHED when the block ends and FAILED if it raises, so every FINISHED run has its report.

    Args:
        baseline: See ``compare``.
        candidate: See ``compare``.
        suite: See ``compare``.
        config: The ``compare`` section of a recipe or policy.
        policy: Its ``gate`` section; where not only differences count, only a failed one ends it early.
        scorers: See ``compare``.
        cache: See ``compare``.
        freeze: See ``llmops.gate.evidence.freeze``; by default, nothing is recorded before.

    Yields:
        The comparison, with the ids of its run and of the run of each side.

    Raises:
        LlmopsError: See ``compare``.

    Example:
        from llmops.compare import comparison_run
        from llmops.gate import gate, record
        settings = recipe.compare, recipe.gate
        with comparison_run("base", "models:/bot/4", "test.jsonl", *settings) as comparison:
            decision = gate(comparison, recipe.gate)
            record(comparison, decision)
    """
    options = Options(
        scorers=scorers,
        questions=policy.questions,
        min_prompts=policy.min_prompts,
        cache=cache,
        whole=policy.needs_every_prompt,
    )
    with _measured(baseline, [candidate], suite, config, options, freeze) as (comparison,):
        yield comparison


def _published(
    baseline: str | Side,
    candidates: Sequence[str | Side],
    suite: SuiteLike,
    config: Compare,
    options: Options,
) -> tuple[Comparison, ...]:
    """Measure every candidate, and publish the reports."""
    with _measured(baseline, candidates, suite, config, options) as comparisons:
        publish_reports(comparisons)
    return comparisons


@contextmanager
def _measured(
    baseline: str | Side,
    candidates: Sequence[str | Side],
    suite: SuiteLike,
    config: Compare,
    options: Options,
    freeze: Freeze | None = None,
) -> Iterator[tuple[Comparison, ...]]:
    """Measure every candidate, and yield the comparisons while their MLflow run is open."""
    begun = time.monotonic()
    setup = set_up(baseline, candidates, suite, config, options)
    with opened_run(setup.sides) as run:
        frozen = None if freeze is None else freeze(run.run_id)
        if frozen is not None:
            level = replace(setup.plan, confidence=1 - frozen.budget.alpha_k)
            setup = replace(setup, plan=level)
        measured = _measure(setup)
        seconds, settings = time.monotonic() - begun, setup.settings
        comparisons = [
            replace(comparison, seconds=seconds, settings=settings, frozen=frozen)
            for comparison in measured
        ]
        pace = round(seconds / max(1, len(measured[0].rows)), 4)
        parameters = {**_parameters(setup), tags.SECONDS_PER_PROMPT: pace}
        yield log_comparisons(run, comparisons, setup.suite, parameters, traces=config.traces)


def _measure(setup: Setup) -> list[Comparison]:
    """Ask all sides until every question is decided, and test every metric."""
    fresh, trained = (
        repeated(part, setup.config.repeats)
        for part in (setup.exclusion.fresh, setup.exclusion.trained)
    )
    prompts, names = [*fresh, *trained], [scorer.name for scorer in setup.scorers]
    announce(setup.sides, setup.scorers, len(prompts))
    with (
        ResultCache(None if setup.cache else MEMORY) as cache,
        closing(SuiteAnswers(setup.sides, prompts, setup.scorers, setup.config, cache)) as answers,
    ):
        examples = [prompt.example for prompt in fresh]
        candidates = len(setup.sides) - 1
        results = ask_until_decided(answers.ask, examples, names, setup.plan, candidates)
        comparisons = [
            comparison_of(setup, answers, result, which)
            for which, result in enumerate(results, start=1)
        ]
        if trained:
            rows = answers.ask(range(len(fresh), len(prompts)))
            comparisons = list(map(with_trained, comparisons, rows))
    question = setup.plan.questions[0].metric
    return [with_trajectories(comparison, question) for comparison in comparisons]


def _parameters(setup: Setup) -> dict[str, object]:
    """Return the parameters of the run."""
    scorers = " ".join(scorer.spec for scorer in setup.scorers)
    return {**setup.settings, "confidence": setup.plan.confidence, "scorers": scorers}
