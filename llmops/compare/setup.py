"""Everything a comparison checks before it generates: sides, scorers, suite, questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmops.compare import sides
from llmops.compare.arguments import ScorerLike, SuiteLike, require_side
from llmops.compare.leakage.exclude import Exclusion, exclude_trained
from llmops.compare.leakage.trained_on import check_sides
from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scorer import Scorer
from llmops.compare.scorers.scoring import require_expected
from llmops.compare.stopping import Plan
from llmops.compare.suite.load import load_suite
from llmops.errors import UsageError
from llmops.recipe.engine_names import ENGINES
from llmops.recipe.policy import AT_LEAST
from llmops.recipe.schema import DECIDING, Compare, Requirement
from llmops.records import ModelFiles, Side, Suite
from llmops.stats.plan import seed_of

BLOCK = 32
"""Prompts between two looks."""
MOST_SIDES = 26
"""Number of sides above which a comparison is refused."""


@dataclass(frozen=True)
class Options:
    """Options of a caller besides the recipe's ``compare`` section; see ``compare``."""

    scorers: ScorerLike | Sequence[ScorerLike] | None = None
    questions: Sequence[Requirement] = ()
    min_prompts: int = 0
    block: int = BLOCK
    cache: bool = True
    whole: bool = False


@dataclass(frozen=True)
class Setup:
    """A comparison that is ready to run.

    Attributes:
        sides: All sides, the baseline first; no two have the same label.
        suite: All prompts.
        exclusion: The prompts, divided by whether a side was trained on them.
        plan: When to stop, and the questions that decide it.
    """

    sides: Sequence[Side]
    suite: Suite
    scorers: Sequence[Scorer]
    exclusion: Exclusion
    plan: Plan
    config: Compare
    cache: bool

    @property
    def settings(self) -> dict[str, object]:
        """Everything that decides a result but sides, suite and confidence."""
        scorers = [scorer.record for scorer in self.scorers]
        return {**{name: getattr(self.config, name) for name in DECIDING}, "scorers": scorers}


def set_up(
    baseline: str | Side,
    candidates: Sequence[str | Side],
    suite: SuiteLike,
    config: Compare,
    options: Options,
) -> Setup:
    """Resolve sides, scorers and suite, and refuse what cannot be compared.

    Raises:
        UsageError: See ``compare`` and ``compare_all``.
        DataError: See ``compare``.
    """
    if not 1 <= len(candidates) < MOST_SIDES:
        raise UsageError(f"{len(candidates)} candidates; allowed: 1 to {MOST_SIDES - 1}")
    scorers = load_scorers(options.scorers or config.scorers, code=options.scorers is not None)
    _require_scored(options.questions, scorers)
    named = tuple(map(require_side, (baseline, *candidates)))
    chosen = sides.with_distinct_labels([sides.resolve_side(name) for name in named])
    sides.require_different(chosen, named)
    held_out = suite if isinstance(suite, Suite) else load_suite(suite)
    require_expected(held_out.examples, scorers)
    _require_weights(chosen, scorers, config)
    checks = check_sides(chosen, held_out).values()
    exclusion = exclude_trained(checks, held_out, fewest=options.min_prompts)
    plan = _plan(chosen, held_out, scorers, config, options)
    return Setup(chosen, held_out, scorers, exclusion, plan, config, options.cache)


def _plan(
    chosen: Sequence[Side],
    suite: Suite,
    scorers: Sequence[Scorer],
    config: Compare,
    options: Options,
) -> Plan:
    default = Requirement(metric=scorers[0].name, must="improve")
    return Plan(
        method=config.method,
        block=options.block,
        confidence=config.confidence,
        questions=tuple(options.questions) or (default,),
        min_prompts=options.min_prompts,
        whole=options.whole,
        seed=seed_of(suite.digest, *(side.digest for side in chosen)),
    )


def _require_scored(questions: Sequence[Requirement], scorers: Sequence[Scorer]) -> None:
    """Refuse a question about a metric that no scorer computes, or that is only for a gate."""
    names = [scorer.name for scorer in scorers]
    for question in questions:
        if question.must == AT_LEAST or question.slice:
            raise UsageError(
                f"question about {question.metric!r}: a comparison answers improve and not_regress over"
                " the whole suite; floors and slices are for a gate"
            )
        if question.metric not in names:
            raise UsageError(
                f"question about {question.metric!r}: no scorer has this name; available:"
                f" {', '.join(names)}"
            )


def _require_weights(chosen: Sequence[Side], scorers: Sequence[Scorer], config: Compare) -> None:
    """Refuse the scorer ``likelihood`` if a side or the engine returns only answers."""
    absent = [side.uri for side in chosen if not isinstance(side, ModelFiles)]
    absent += [] if ENGINES[config.engine].likelihood else [f"engine {config.engine}"]
    if absent and any(scorer.is_likelihood for scorer in scorers):
        others = [scorer.spec for scorer in scorers if not scorer.is_likelihood] or ["token_f1"]
        raise UsageError(
            f"scorer likelihood: {absent[0]} returns answers only, not their likelihood",
            next_command=" ".join(f"--scorer {spec}" for spec in others),
        )
