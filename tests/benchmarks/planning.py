"""Whether ``llmops power`` promises what ``SequentialTest`` then shows, in fresh simulations.

The data come from other generators than those of ``llmops.stats.simulation``: normal differences, and
Dirichlet-multinomial clusters. Writes the table of ``docs/explanation/operating-characteristics.md``,
and ends with exit code 1 if a promise is wrong by more than 0.03.

    python tests/benchmarks/planning.py              # some 5 minutes on 2 cores
    python tests/benchmarks/planning.py --runs 300 --dry
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from llmops.stats import Design, Planned, SequentialTest, prompts_needed, simulated_power
from llmops.stats.plan import spread_blocks
from llmops.stats.result import Method

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "operating-characteristics.md"
BAR = 0.03
BLOCK = 32
METHODS: tuple[Method, ...] = ("spend", "fixed")
UNEQUAL = (
    36,
    28,
    22,
    18,
    15,
    13,
    11,
    10,
    9,
    8,
    7,
    6,
    6,
    5,
    5,
    4,
    4,
    3,
    3,
    3,
    2,
    2,
    2,
    2,
    2,
    2,
    1,
    1,
)
"""Sizes of 28 clusters of 230 prompts."""


@dataclass(frozen=True)
class Setting:
    """A plan: its design, the true difference, and the prompts if they are not to be found."""

    name: str
    design: Design
    difference: float = 0.0
    prompts: int | None = None


def _settings() -> list[Setting]:
    by_sd = [
        (0.05, 0.7, 0.02),
        (0.05, 0.7, 0.05),
        (0.02, 0.7, 0.01),
        (0.03, 0.3, 0.01),
        (0.2, 0.5, 0.05),
    ]
    settings = [
        Setting(f"sd {sd}, level {level}, margin {m}", Design(bar=-m, sd=sd, level=level))
        for sd, level, m in by_sd
    ]
    settings.append(Setting("sd 0.05, level 0.7, gain 0.02", Design(sd=0.05, level=0.7), 0.02))
    settings += [
        Setting(f"discordance {q}, margin {m}", Design(bar=-m, discordance=q))
        for q, m in [(0.02, 0.05), (0.1, 0.15), (0.1, 0.05)]
    ]
    settings += [
        Setting(f"discordance 0.3, gain {d}", Design(discordance=0.3), d) for d in (0.15, 0.05)
    ]
    equal = Design(bar=-0.1, discordance=0.3, sizes=(4,), icc=0.4)
    unequal = Design(bar=-0.1, discordance=0.3, sizes=UNEQUAL, icc=0.4)
    name = "discordance 0.3, margin 0.1"
    return [
        *settings,
        Setting(f"{name}, clusters of 4, ICC 0.4", equal),
        Setting(f"{name}, 28 unequal clusters, ICC 0.4", unequal, prompts=sum(UNEQUAL)),
    ]


def promise(setting: Setting, method: Method) -> Planned:
    if setting.prompts:
        return simulated_power(setting.design, setting.difference, setting.prompts, method)
    return prompts_needed(setting.design, setting.difference, method=method)


def scores(
    setting: Setting, prompts: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str] | None]:
    """Differences, scores of the candidate and clusters of one fresh comparison."""
    design, d = setting.design, setting.difference
    if design.discordance is None:
        sd = float(design.sd or 0.0)
        differences = np.clip(rng.normal(d, sd, prompts), -1, 1)
        other = rng.normal(design.level - d, sd / 2, prompts)
        before = np.clip(other - (differences - d) / 2, 0, 1)
        after = np.clip(before + differences, 0, 1)
        return after - before, after, None
    chances = np.array([(design.discordance + d) / 2, (design.discordance - d) / 2, 0.0])
    chances[2] = 1 - chances.sum()
    if design.independent:
        drawn = rng.choice(3, prompts, p=chances)
        names = None
    else:
        index = np.repeat(np.arange(prompts), np.resize(design.sizes, prompts))[:prompts]
        own = rng.dirichlet(chances * (1 / design.icc - 1), int(index.max()) + 1)
        drawn = (rng.random(prompts)[:, None] > own[index].cumsum(axis=1)).sum(axis=1).clip(0, 2)
        names = [str(i) for i in index]
    differences = np.array([1.0, -1.0, 0.0])[drawn]
    right = rng.random(prompts) < 0.5
    return differences, np.where(differences == 0, right, differences > 0).astype(float), names


def show(setting: Setting, method: Method, prompts: int, seeds: range) -> tuple[int, int]:
    """How many fresh comparisons show the claim, and the prompts that all of them used."""
    design, shown, used = setting.design, 0, 0
    for seed in seeds:
        differences, after, names = scores(setting, prompts, np.random.default_rng(seed))
        test = SequentialTest(
            design.must, abs(design.bar), cap=prompts, method=method, alpha=design.alpha
        )
        size = prompts if method == "fixed" else BLOCK
        for block in spread_blocks(prompts, size, seed, names):
            some = [names[i] for i in block] if names else None
            if test.update(differences[block], some, after[block]):
                break
        shown, used = shown + (test.passed is True), used + test.n
    return shown, used


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--dry", action="store_true", help="write no page")
    options = parser.parse_args()
    settings, lines, worst = _settings(), [], 0.0
    with ProcessPoolExecutor() as pool:
        plans = {(s, m): pool.submit(promise, s, m) for s in settings for m in METHODS}
        cells = {}
        for (s, m), plan in plans.items():
            starts = range(10**6, 10**6 + options.runs, 200)
            cells[s, m] = [
                pool.submit(show, s, m, plan.result().prompts, range(i, i + 200)) for i in starts
            ]
        for (s, m), parts in cells.items():
            plan = plans[s, m].result()
            shown, used = (sum(x) for x in zip(*(part.result() for part in parts), strict=True))
            runs = 200 * len(parts)
            off = shown / runs - plan.power
            worst = max(worst, abs(off))
            cell = f"{plan.prompts:,} | {plan.mean:,.0f} / {used / runs:,.0f}"
            lines.append(f"| {s.name} | `{m}` | {cell} | {plan.power:.3f} | {shown / runs:.3f} |")
            print(lines[-1], f"{off:+.3f}", file=sys.stderr, flush=True)
    head = "| assumption | method | prompts | asked: planned / used | promised | shown |\n"
    table = head + "| --- | --- | --- | --- | --- | --- |\n" + "\n".join(lines)
    if options.dry:
        print(table)
    else:
        text = PAGE.read_text(encoding="utf-8")
        new = re.sub(
            r"(<!-- planning -->\n\n).*?(\n\n<!-- end -->)",
            lambda found: found[1] + table + found[2],
            text,
            flags=re.DOTALL,
        )
        PAGE.write_text(new, encoding="utf-8")
    print(f"largest difference {worst:.3f}, at most {BAR}", file=sys.stderr)
    return int(worst > BAR)


if __name__ == "__main__":
    raise SystemExit(main())
