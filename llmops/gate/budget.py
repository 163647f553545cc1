"""One error budget for a candidate line: each push may spend a share of it.

A pull request is pushed again and again until it passes. Judged at the full level each time, a
candidate that is no better passes some day. So push k is judged at

    alpha_k = alpha * 6 / (pi^2 * k^2),        k = 1, 2, 3, ...

These levels add up to alpha, because the sum of 1 / k^2 is pi^2 / 6. By Boole's inequality (the union
bound), the probability that any push of the line errs is at most alpha, whatever number of pushes there
will be, and however the pushes depend on one another: they share their prompts, and mostly their
training data. No push need know what later ones will be.

Testing a sequence of hypotheses whose number is not known in advance at levels that add up to alpha
is alpha-spending, or online Bonferroni: Foster and Stine 2008, J. R. Statist. Soc. B 70(2); Javanmard
and Montanari 2018, Annals of Statistics 46(2); Tian and Ramdas 2021, Statistical Methods in Medical
Research 30(4), on the familywise error of online tests. The weights 1 / (zeta(2) k^2) are a usual
choice in such bounds, as in Howard et al. 2021, Annals of Statistics 49(2). The first push keeps 61% of
alpha, the tenth has 0.6% of it: see ``docs/explanation/operating-characteristics.md``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from llmops.errors import UsageError
from llmops.records import Budget
from llmops.store.lines import Push

FIRST_SHARE = 6 / math.pi**2
"""Share of alpha that the first push may spend."""


def alpha_of(alpha: float, push: int) -> float:
    """Return the two-sided error probability at which a push is judged.

    Args:
        alpha: That of the whole line, in (0, 1).
        push: Number of the push, from 1.

    Raises:
        UsageError: The number is below 1.

    Example:
        from llmops.gate.budget import alpha_of

        print([round(alpha_of(0.05, push), 4) for push in (1, 2, 3, 10)])
    """
    if push < 1:
        raise UsageError(f"push: expected a number from 1 on, received {push}")
    return alpha * FIRST_SHARE / push**2


def budget_of(alpha: float, line: str, push: int) -> Budget:
    """Return what a push of a line may spend."""
    return Budget(line, push, alpha, alpha_of(alpha, push), alpha_of(alpha, push + 1))


def since_promotion(pushes: Sequence[Push], promoted: Collection[str]) -> tuple[Push, ...]:
    """Return the pushes that draw on today's budget: those after the last promoted one.

    Args:
        pushes: All pushes of a line, the oldest first.
        promoted: Digests of the evidence on which candidates were promoted.
    """
    last = max((i for i, push in enumerate(pushes) if push.evidence in promoted), default=-1)
    return tuple(pushes[last + 1 :])


def number_for(question: str, pushes: Sequence[Push]) -> int:
    """Return the number under which a question is to be decided.

    A question whose comparison was begun and not decided, because it was killed or failed, keeps its
    number: nobody has seen a verdict. Every other one takes the next.

    Args:
        question: Digest of the question.
        pushes: Pushes of its line on today's budget, the oldest first.
    """
    open_ones = [p.number for p in pushes if p.question == question and p.evidence is None]
    if open_ones:
        return open_ones[-1]
    return max((push.number for push in pushes), default=0) + 1
