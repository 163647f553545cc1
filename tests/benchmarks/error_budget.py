"""What one error budget for a candidate line promises, measured: 100 pull requests of 10 pushes each.

No candidate differs from its baseline, or each is worse by exactly the margin. All pushes of a pull
request answer the same prompts, and most of their answers are the same. Verdicts are those of
``llmops.stats.SequentialTest``, at the level that ``llmops.gate.budget`` gives the push.

    python tests/benchmarks/error_budget.py                # 2,000 times 100 pull requests, some minutes
    python tests/benchmarks/error_budget.py --times 20 --dry
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from llmops.gate.budget import alpha_of
from llmops.stats import SequentialTest, blocks

PAGE = Path(__file__).parents[2] / "docs/explanation/operating-characteristics.md"
ALPHA, MARGIN, PUSHES, REQUESTS, TIMES, CHUNK = 0.05, 0.05, 10, 100, 2_000, 500
BLOCK = 32

Level = Callable[[int], float]
"""Number of a push → two-sided error probability."""


class Case(NamedTuple):
    """Prompts, true difference, and the share of answers that all pushes of a request have in common."""

    prompts: int
    mean: float
    shared: float


class Rates(NamedTuple):
    """Shares of pull requests in which at least one push errs."""

    improved: float
    passed: float
    rejected: float


CASES = [
    *(Case(prompts, 0.0, shared) for prompts in (60, 200) for shared in (0.0, 0.5, 0.9)),
    *(Case(200, -MARGIN, shared) for shared in (0.0, 0.5, 0.9)),
]


def budgeted(push: int) -> float:
    """The level of a push that draws on the budget."""
    return alpha_of(ALPHA, push)


def plain(push: int) -> float:
    """The level of a push that is judged as if it were the only one."""
    return ALPHA


def answers(
    rng: np.random.Generator, case: Case, requests: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each prompt was answered right: by the baseline, and by the candidate of each push.

    Returns:
        Arrays of shape (requests, prompts) and (requests, PUSHES, prompts).
    """
    shape = (requests, case.prompts)
    ease = -case.mean + (1 + case.mean) * rng.random(
        shape
    )  # a candidate that is worse stays above 0
    baseline = rng.random(shape) < ease
    right = (ease + case.mean)[:, None, :]
    common = rng.random((requests, 1, case.prompts)) < right
    own = rng.random((requests, PUSHES, case.prompts)) < right
    keeps = rng.random((requests, PUSHES, case.prompts)) < case.shared
    return baseline, np.where(keeps, common, own)


@cache
def verdict(wins: int, losses: int, prompts: int, must: str, alpha: float) -> bool | None:
    """What a comparison that asks every prompt says: passed, failed or undecided."""
    test = SequentialTest(
        must,  # type: ignore[arg-type]
        MARGIN if must == "not_regress" else 0.0,
        cap=prompts,
        method="fixed",
        alpha=alpha / 2,
    )
    gains = np.r_[np.ones(wins), -np.ones(losses), np.zeros(prompts - wins - losses)]
    test.update(
        gains, candidate=np.r_[np.ones(wins), np.zeros(losses), np.ones(prompts - wins - losses)]
    )
    return test.passed


def counts(case: Case, times: int, seed: int = 0) -> NDArray[np.int16]:
    """Simulate pull requests; return wins and losses of each push, shape (requests, PUSHES, 2)."""
    rng, found = np.random.default_rng(seed), []
    for start in range(0, times * REQUESTS, CHUNK):
        baseline, candidate = answers(rng, case, min(CHUNK, times * REQUESTS - start))
        before = baseline[:, None, :]
        wins = (candidate & ~before).sum(axis=2)
        losses = (before & ~candidate).sum(axis=2)
        found.append(np.stack([wins, losses], axis=2).astype(np.int16))
    return np.concatenate(found)


def rates(counted: NDArray[np.int16], prompts: int, level: Level) -> Rates:
    """Return the shares of pull requests that err at least once."""
    improved, passed, rejected = (np.zeros(counted.shape[0], bool) for _ in range(3))
    for push in range(PUSHES):
        pairs, which = np.unique(counted[:, push], axis=0, return_inverse=True)
        alpha = level(push + 1)
        gain, loss = (
            np.array([verdict(int(w), int(n), prompts, must, alpha) for w, n in pairs], object)
            for must in ("improve", "not_regress")
        )
        improved |= np.equal(gain, True)[which.ravel()]
        passed |= np.equal(loss, True)[which.ravel()]
        rejected |= np.equal(gain, False)[which.ravel()]
    return Rates(*(float(each.mean()) for each in (improved, passed, rejected)))


def early_rates(case: Case, requests: int, level: Level, seed: int = 1) -> Rates:
    """Simulate pull requests whose comparisons stop early (``spend``); slower, so fewer of them."""
    rng = np.random.default_rng(seed)
    errors = np.zeros((requests, 3), bool)
    for request in range(requests):
        baseline, candidate = answers(rng, case, 1)
        for push in range(PUSHES):
            gains = candidate[0, push].astype(float) - baseline[0]
            for must, column in (("improve", 0), ("not_regress", 1)):
                said = _early(
                    gains, candidate[0, push].astype(float), must, level(push + 1), request
                )
                errors[request, column] |= said is True
                errors[request, 2] |= must == "improve" and said is False
    return Rates(*(float(share) for share in errors.mean(axis=0)))


def _early(
    gains: NDArray[np.float64], scores: NDArray[np.float64], must: str, alpha: float, seed: int
) -> bool | None:
    margin = MARGIN if must == "not_regress" else 0.0
    test = SequentialTest(must, margin, cap=gains.size, method="spend", alpha=alpha / 2)  # type: ignore[arg-type]
    for block in blocks(gains.size, BLOCK, seed):
        test.update(gains[block], candidate=scores[block])
        if test.passed is not None:
            return test.passed
    return test.passed


def power(prompts: int, effect: float, alpha: float, times: int, seed: int = 2) -> float:
    """Return how often a true gain is shown by a comparison that asks every prompt."""
    rng = np.random.default_rng(seed)
    ease = (1 - effect) * rng.random((times, prompts))
    before, after = rng.random(ease.shape) < ease, rng.random(ease.shape) < ease + effect
    wins, losses = (after & ~before).sum(axis=1), (before & ~after).sum(axis=1)
    shown = [
        verdict(int(w), int(n), prompts, "improve", alpha) is True
        for w, n in zip(wins, losses, strict=True)
    ]
    return float(np.mean(shown))


def factor(alpha: float) -> float:
    """Return how many times as many prompts a power of 80% needs as at the full level."""

    def need(level: float) -> float:
        return float((stats.norm.isf(level / 2) + stats.norm.isf(0.2)) ** 2)

    return need(alpha) / need(ALPHA)


def errors_table(times: int, early: int) -> tuple[list[str], bool]:
    """Return the table of false verdicts, and whether every bar is met."""
    lines = [
        "| prompts, method | true difference | answers in common | false IMPROVED | false pass of"
        " `not_regress` | false REJECT | the same without a budget |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    good = True
    for case in CASES:
        counted = counts(case, times)
        held, without = (rates(counted, case.prompts, level) for level in (budgeted, plain))
        good &= _within(case, held, times * REQUESTS)
        lines.append(_line(f"{case.prompts}, `fixed`", case, held, without))
    for case in (Case(200, 0.0, 0.9), Case(200, -MARGIN, 0.9)):
        held, without = early_rates(case, early, budgeted), early_rates(case, early, plain)
        good &= _within(case, held, early)
        lines.append(_line(f"{case.prompts}, `spend`", case, held, without))
    return lines, good


def _within(case: Case, held: Rates, requests: int) -> bool:
    """Return whether no share is above alpha by more than the error of the simulation."""
    bar = ALPHA + 3 * (ALPHA * (1 - ALPHA) / requests) ** 0.5
    false = [held.improved, *([held.rejected] if case.mean == 0 else [held.passed])]
    return max(false) <= bar


def _line(what: str, case: Case, held: Rates, without: Rates) -> str:
    null = case.mean == 0
    cells = [
        what,
        f"{case.mean:+.2f}" if case.mean else "0",
        f"{case.shared:.0%}",
        f"{held.improved:.4f}",
        "" if null else f"{held.passed:.4f}",
        f"{held.rejected:.4f}" if null else "",
        f"{without.improved:.3f} / {without.rejected if null else without.passed:.3f}",
    ]
    return "| " + " | ".join(cells) + " |"


def power_table(times: int) -> list[str]:
    """Return what the levels cost: power of each push, and prompts for the same power."""
    lines = [
        "| push | level | gain 0.10, 200 prompts | gain 0.10, 500 prompts | gain 0.05, 1,000 prompts |"
        " times the prompts for the same power |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for push in (0, 1, 2, 3, 5, 10):
        alpha = alpha_of(ALPHA, push) if push else ALPHA
        shown = [
            power(n, gain, alpha, times) for n, gain in ((200, 0.1), (500, 0.1), (1_000, 0.05))
        ]
        name = str(push) if push else "without a budget"
        cells = [name, f"{alpha:.2g}", *(f"{one:.2f}" for one in shown), f"{factor(alpha):.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES, help="repetitions of 100 pull requests")
    parser.add_argument(
        "--early", type=int, default=1_000, help="pull requests that may stop early"
    )
    parser.add_argument("--dry", action="store_true", help="print only, leave the page as it is")
    chosen = parser.parse_args()
    lines, good = errors_table(chosen.times, chosen.early)
    tables = {"budget errors": lines, "budget power": power_table(max(200, chosen.times))}
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables.items():
        print(f"\n{name}\n" + "\n".join(table))
        head, mark, rest = text.partition(f"<!-- {name} -->\n")
        if mark:
            text = (
                f"{head}{mark}\n"
                + "\n".join(table)
                + "\n\n<!-- end -->"
                + rest.partition("<!-- end -->")[2]
            )
    if not chosen.dry:
        PAGE.write_text(text, encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
