"""The A/B harness: sides that share a base share one engine, every metric is tested in pairs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from llmops.compare.answers.blocks import Asking, repeated
from llmops.compare.cache import MEMORY, ResultCache
from llmops.compare.results import comparison_of, with_trained, with_trajectories
from llmops.compare.setup import BLOCK, Options, Setup, set_up
from llmops.compare.stopping import ask_until_decided
from llmops.compare.tracking.runs import comparison_runs, publish_reports
from llmops.recipe.schema import Compare, Gate, Requirement
from llmops.records import Comparison, Side, Suite


def compare(
    baseline: str | Side,
    candidate: str | Side,
    suite: str | Path | Suite,
    config: Compare | None = None,
    *,
    scorers: Sequence[str] | None = None,
    questions: Sequence[Requirement] = (),
    min_prompts: int = 0,
    block: int = BLOCK,
    cache: bool = True,
) -> Comparison:
    """Compare two sides on held-out prompts and log the result to MLflow.

    Args:
        baseline: ``models:/name/version``, ``models:/name@alias``, ``models:/m-…``, ``runs:/…``, a
            registered base, or ``openai:URL#MODEL``.
        candidate: The side that wants to be better.
        suite: Held-out prompts: a file (see ``load_suite``) or a suite.
        config: Scorers, method, answer length and confidence; the recipe's ``compare`` section.
        scorers: Scorers instead of those of ``config``; may name modules, which are imported.
        questions: A method that stops early goes on until these are decided; by default, until
            the first scorer shows that the candidate is better, or that it is worse.
        min_prompts: Number of prompts before which it does not stop.
        block: Prompts between two looks.
        cache: Whether answers of earlier comparisons are used, and new ones kept.

    Returns:
        Every metric of both sides with its paired test, and every row.

    Raises:
        UsageError: A scorer could judge nothing, or needs what a side does not have; a question is
            about no scorer.
        DataError: An example has no expected answer, or the sides were trained on all of them.
        IntegrityError: Different adapters, yet identical answers and likelihoods throughout.
        LlmopsError: A side gave no answer at all, or neither did to too many prompts.
    """
    (comparison,) = compare_all(
        baseline,
        [candidate],
        suite,
        config,
        scorers=scorers,
        questions=questions,
        min_prompts=min_prompts,
        block=block,
        cache=cache,
    )
    return comparison


def compare_all(
    baseline: str | Side,
    candidates: Sequence[str | Side],
    suite: str | Path | Suite,
    config: Compare | None = None,
    *,
    scorers: Sequence[str] | None = None,
    questions: Sequence[Requirement] = (),
    min_prompts: int = 0,
    block: int = BLOCK,
    cache: bool = True,
) -> tuple[Comparison, ...]:
    """Compare several candidates with one baseline on the same prompts; see ``compare``.

    Their intervals hold together: each has the confidence that Bonferroni's correction needs.

    Raises:
        UsageError: As for ``compare``, or two of several sides are the same version.
    """
    options = Options(scorers, questions, min_prompts, block, cache)
    with _measured(baseline, candidates, suite, config or Compare(), options) as comparisons:
        publish_reports(comparisons)
    return comparisons


@contextmanager
def comparison_run(
    baseline: str | Side,
    candidate: str | Side,
    suite: str | Path | Suite,
    config: Compare,
    policy: Gate,
) -> Iterator[Comparison]:
    """Compare two sides for a gate, in an MLflow run that stays open for the decision.

    The caller publishes the report within the block. The run is FINISHED when the block ends, and
    FAILED if it raises, so that a run that is FINISHED has its report.

    Args:
        baseline: See ``compare``.
        candidate: See ``compare``.
        suite: See ``compare``.
        config: The recipe's ``compare`` section.
        policy: The recipe's ``gate`` section, whose requirements are the questions to decide.

    Yields:
        The comparison, with the ids of its run and of the run of each side.

    Raises:
        DataError: As for ``compare``, or the suite holds prompts that the candidate was trained on.
        UsageError: As for ``compare``.
        IntegrityError: As for ``compare``.
        LlmopsError: As for ``compare``.
    """
    options = Options(questions=policy.require, min_prompts=policy.min_prompts, refuse_trained=True)
    with _measured(baseline, [candidate], suite, config, options) as (comparison,):
        yield comparison


@contextmanager
def _measured(
    baseline: str | Side,
    candidates: Sequence[str | Side],
    suite: str | Path | Suite,
    config: Compare,
    options: Options,
) -> Iterator[tuple[Comparison, ...]]:
    """Measure every candidate, and provide the comparisons in their open MLflow run."""
    begun = time.monotonic()
    setup = set_up(baseline, candidates, suite, config, options)
    measured = _measure(setup)
    seconds = time.monotonic() - begun
    comparisons = [replace(comparison, seconds=seconds) for comparison in measured]
    with comparison_runs(
        comparisons, setup.suite, _parameters(setup), traces=config.traces
    ) as logged:
        yield logged


def _measure(setup: Setup) -> list[Comparison]:
    """Ask all sides until every question is decided, and test every metric."""
    fresh, trained = (
        repeated(part, setup.config.repeats)
        for part in (setup.exclusion.fresh, setup.exclusion.trained)
    )
    prompts, names = [*fresh, *trained], [scorer.name for scorer in setup.scorers]
    with (
        ResultCache(None if setup.cache else MEMORY) as cache,
        closing(Asking(setup.sides, prompts, setup.scorers, setup.config, cache)) as asking,
    ):
        examples = [prompt.example for prompt in fresh]
        candidates = len(setup.sides) - 1
        results = ask_until_decided(asking.ask, examples, names, setup.plan, candidates)
        comparisons = [
            comparison_of(setup, asking, result, which)
            for which, result in enumerate(results, start=1)
        ]
        if trained:
            rows = asking.ask(range(len(fresh), len(prompts)))
            comparisons = list(map(with_trained, comparisons, rows))
    question = setup.plan.questions[0].metric
    return [with_trajectories(comparison, question) for comparison in comparisons]


def _parameters(setup: Setup) -> dict[str, object]:
    """Return what decides a result besides the sides and the suite, as parameters of the run."""
    names = ("method", "confidence", "engine", "max_tokens", "temperature", "repeats")
    return {
        **{name: getattr(setup.config, name) for name in names},
        "scorers": " ".join(scorer.spec for scorer in setup.scorers),
    }
