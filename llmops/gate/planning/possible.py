"""Whether a suite can ever pass a policy at its size, before anything is spent on answers.

Each requirement is tried on the most favourable answers: for ``not_regress`` a candidate whose scores
equal the baseline's, but for a handful in a thousand prompts; for ``improve`` one that wins nearly every
prompt; for a floor one that scores 1 everywhere. If even that shows nothing, no candidate can pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from llmops.errors import UsageError
from llmops.recipe import scorer_names
from llmops.recipe.built_in_scorers import BY_NAME
from llmops.recipe.policy import AT_LEAST
from llmops.recipe.schema import Policy, Requirement
from llmops.records import Check, Example, Suite, Verdict
from llmops.report import wording
from llmops.stats.power import MOST_DRAWN, OutOfReachError, prompts_needed, simulated_power
from llmops.stats.result import Method
from llmops.stats.simulation import Design
from llmops.stats.terminal import mean_interval

SIMULATIONS = 200
CAN = 0.05
"""Chance of the most favourable candidate from which a suite can pass."""
RARE, SPREAD = 0.001, 0.01
"""Share of prompts that differ, and standard deviation, of a candidate as good as the baseline."""
WINS = 0.99
"""Gain of the most favourable candidate; a score cannot rise by more than 1."""
LEVEL = 0.5
"""Assumed mean score, of which failures too rare to be seen may cost a part."""


@dataclass(frozen=True)
class Prospect:
    """What the suite can show of one requirement.

    Attributes:
        demand: The requirement as text.
        prompts: Prompts that it reads, repeats included.
        clusters: Independent clusters among them.
        can_pass: Whether any candidate could show it.
        needed: Number of prompts in such clusters that would do; ``None`` if it can pass, or if no
            number of them would do.
    """

    demand: str
    prompts: int
    clusters: int
    can_pass: bool
    needed: int | None = None

    @property
    def sentence(self) -> str:
        """The prospect as text."""
        size = f"{self.prompts:,} prompts in {self.clusters:,} clusters"
        if self.can_pass:
            return f"{self.demand}: {size} can show it"
        would = "no number of prompts" if self.needed is None else f"{self.needed:,} prompts"
        return f"{self.demand}: {size} can never show it; {would} would do"


def refuse_too_few(policy: Policy, suite: Suite) -> None:
    """Refuse a suite with fewer prompts than the policy demands, before anything is generated.

    Raises:
        UsageError: As said.
    """
    fewest, prompts = policy.gate.min_prompts, len(suite.examples) * policy.compare.repeats
    if prompts < fewest:
        raise UsageError(
            f"suite {suite.path or suite.name}: {prompts} prompts, gate.min_prompts is {fewest}: no"
            " version can pass",
            next_command=f"add {fewest - prompts} prompts",
        )


def prospects(policy: Policy, examples: Sequence[Example]) -> tuple[Prospect, ...]:
    """Return what a suite can show of each requirement, the number of prompts first.

    Args:
        policy: The policy.
        examples: The suite.
    """
    rows = len(examples) * policy.compare.repeats
    fewest = Prospect(
        f"gate.min_prompts {policy.gate.min_prompts}",
        rows,
        len({example.cluster for example in examples}),
        rows >= policy.gate.min_prompts,
        None if rows >= policy.gate.min_prompts else policy.gate.min_prompts,
    )
    return (fewest, *(_prospect(policy, each, examples) for each in policy.gate.require))


def refuse_impossible(found: Sequence[Prospect], suite: str) -> None:
    """Refuse a suite that no candidate can pass.

    Args:
        found: The prospects of the suite.
        suite: The suite, for the error.

    Raises:
        UsageError: As said, with the number of prompts that would do.
    """
    hopeless = [prospect.sentence for prospect in found if not prospect.can_pass]
    if hopeless:
        raise UsageError(
            f"suite {suite} can never pass this policy: {'; '.join(hopeless)}",
            next_command="add prompts, or widen the margin in the policy file; llmops power plans both",
        )


def _prospect(policy: Policy, requirement: Requirement, examples: Sequence[Example]) -> Prospect:
    counts = Counter(each.cluster for each in examples if each.is_in(requirement.tag))
    sizes = tuple(count * policy.compare.repeats for count in counts.values())
    demand, prompts = wording.demand(_as_check(requirement)), sum(sizes)
    if requirement.must == AT_LEAST:
        can, needed = _floor(requirement.value or 0.0, sizes, policy.gate.alpha)
    else:
        can, needed = _difference(policy, requirement, sizes)
    return Prospect(demand, prompts, len(sizes), can, None if can else needed)


def _as_check(requirement: Requirement) -> Check:
    return Check(
        requirement.metric,
        requirement.must,
        requirement.margin,
        Verdict.INCONCLUSIVE,
        None,
        slice=requirement.tag,
        value=requirement.value,
    )


def _floor(floor: float, sizes: Sequence[int], alpha: float) -> tuple[bool, int | None]:
    """Return whether scores of 1 everywhere reach a floor, and how many prompts would."""

    def reaches(prompts: int) -> bool:
        return (
            mean_interval([1.0] * prompts, _grown(sizes, prompts), confidence=1 - alpha)[0] >= floor
        )

    if reaches(sum(sizes)):
        return True, None
    low, high = sum(sizes), max(2, 2 * sum(sizes))
    while not reaches(high):
        low, high = high, 2 * high
        if high > MOST_DRAWN:
            return False, None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return False, high


def _grown(sizes: Sequence[int], prompts: int) -> list[str]:
    """Return cluster names of a suite with this many prompts, in clusters of these sizes in turn."""
    endless = (str(i) for i, size in enumerate(cycle(sizes or (1,))) for _ in range(size))
    return list(islice(endless, prompts))


def _difference(
    policy: Policy, requirement: Requirement, sizes: tuple[int, ...]
) -> tuple[bool, int | None]:
    """Return whether the most favourable candidate shows a difference, and how many prompts would."""
    design, gain = _favourable(policy, requirement, sizes)
    whole = requirement.slice is None
    method: Method = policy.compare.method if whole else "fixed"
    prompts = sum(sizes)
    if len(sizes) > 1:
        plan = simulated_power(design, gain, prompts, method, simulations=SIMULATIONS)
        if plan.power >= CAN:
            return True, None
    try:
        return False, prompts_needed(design, gain, method=method, simulations=SIMULATIONS).prompts
    except OutOfReachError:
        return False, None


def _favourable(
    policy: Policy, requirement: Requirement, sizes: tuple[int, ...]
) -> tuple[Design, float]:
    """Return the most favourable assumptions for a requirement, and the difference in them."""
    improves, alone = requirement.must == "improve", max(sizes, default=1) == 1
    binary = alone and _values(policy).get(requirement.metric) == (0, 1)
    gain = max(WINS, (1 + requirement.margin) / 2) if improves else 0.0
    design = Design(
        bar=requirement.margin if improves else -requirement.margin,
        discordance=(1.0 if improves else RARE) if binary else None,
        sd=None if binary else SPREAD,
        alpha=policy.gate.alpha / 2,
        level=1.0 if improves else LEVEL,
        sizes=(1,) if alone else sizes,
    )
    return design, gain


def _values(policy: Policy) -> Mapping[str, tuple[float, ...]]:
    """Return label → the scores that a scorer can give; empty for any number from 0 to 1."""
    names = scorer_names.parse_all(policy.compare.scorers)
    return {name.label: BY_NAME[name.kind].values for name in names}
