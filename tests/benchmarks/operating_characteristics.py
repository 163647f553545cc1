"""What the sequential comparison promises, measured: false verdicts, power, prompts, false passes.

Every figure comes from ``llmops.stats.SequentialTest`` itself, driven as a harness drives it. Writes
the tables and plots of ``docs/explanation/operating-characteristics.md`` and ends with exit code 1
if a bar is missed.

    python tests/benchmarks/operating_characteristics.py            # some 15 minutes on 2 cores
    python tests/benchmarks/operating_characteristics.py --runs 100 --dry   # a look at it
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from operating_scenarios import (
    ALPHA,
    CAP,
    EFFECTS,
    KINDS,
    MARGIN,
    METHODS,
    PEEKING,
    SMALL,
    T_INTERVAL,
    Cell,
    Outcome,
    simulate,
)
from scipy import stats

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "explanation" / "operating-characteristics.md"


def measure(cells: dict[Cell, int]) -> dict[Cell, Outcome]:
    """Simulates all cells (cell → runs) on all cores."""
    jobs = [(c, range(i, min(i + 250, n))) for c, n in cells.items() for i in range(0, n, 250)]
    found: dict[Cell, list[Outcome]] = {cell: [] for cell in cells}
    begin = time.monotonic()
    with ProcessPoolExecutor() as pool:
        waiting = [(cell, pool.submit(simulate, cell, seeds)) for cell, seeds in jobs]
        for done, (cell, future) in enumerate(waiting, 1):
            found[cell].append(future.result())
            if done % 25 == 0 or done == len(jobs):
                spent = time.monotonic() - begin
                print(f"{done} of {len(jobs)} parts, {spent:.0f} s", file=sys.stderr, flush=True)
    return {c: Outcome(*(sum(x) for x in zip(*parts, strict=True))) for c, parts in found.items()}


def _weight(cell: Cell) -> int:
    """How many times as many simulations: a level near its bar needs many."""
    return 4 if cell in false_verdicts() or cell in false_passes() else 1


def false_verdicts() -> list[Cell]:
    return [
        *(Cell(m, kind, 0.0) for kind in ("ternary", "continuous", "clustered") for m in METHODS),
        Cell(PEEKING, "ternary", 0.0),
    ]


def powers() -> list[Cell]:
    return [Cell(method, "ternary", effect) for method in METHODS for effect in EFFECTS]


def passes() -> list[Cell]:
    return [
        Cell(method, "ternary", 0.0, "not_regress", MARGIN, q=q)
        for method in METHODS
        for q in (0.02, 0.1, 0.3)
    ]


def false_passes() -> list[Cell]:
    return [
        Cell(method, kind, -MARGIN, "not_regress", MARGIN, cap)
        for cap in (SMALL, CAP)
        for kind in KINDS
        for method in (T_INTERVAL, *METHODS)
    ]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def false_verdict_table(found: dict[Cell, Outcome]) -> str:
    rows = []
    for cell in false_verdicts():
        o = found[cell]
        rows.append(
            [
                f"`{cell.method}`" if cell.method in METHODS else cell.method,
                KINDS[cell.kind][0],
                f"{o.share('improved'):.3f} (≤ {o.upper('improved'):.3f})",
                f"{o.share('regressed'):.3f} (≤ {o.upper('regressed'):.3f})",
                f"{o.prompts / o.runs:,.0f}",
            ]
        )
    return table(["method", "scores", "false IMPROVED", "false REGRESSED", "mean prompts"], rows)


def power_table(found: dict[Cell, Outcome], cells: list[Cell], event: str, heads: list[str]) -> str:
    rows = []
    for method in METHODS:
        outcomes = [found[cell] for cell in cells if cell.method == method]
        figures = [f"{o.share(event):.3f} / {o.prompts / o.runs:,.0f}" for o in outcomes]
        rows.append([f"`{method}`", *figures])
    return table(["method", *heads], rows)


def false_pass_table(found: dict[Cell, Outcome]) -> str:
    rows = []
    for cap in (SMALL, CAP):
        for kind, (name, _) in KINDS.items():
            row = [c for c in false_passes() if (c.cap, c.kind) == (cap, kind)]
            rows.append([f"{cap:,}", name, *(f"{found[c].share('passed'):.3f}" for c in row)])
    heads = [T_INTERVAL, *(f"`{method}`" for method in METHODS)]
    return table(["prompts", "scores", *heads], rows)


def bars(found: dict[Cell, Outcome]) -> list[tuple[str, bool]]:
    """What must hold, and whether it does."""
    checks = []
    for cell in false_verdicts()[:-1]:
        worst = max(found[cell].upper("improved"), found[cell].upper("regressed"))
        label = f"false verdicts, {cell.method}, {KINDS[cell.kind][0]}: {worst:.4f} ≤ 0.06"
        checks.append((label, worst <= 0.06))
    eight = found[Cell("hybrid", "ternary", 0.08)]
    used = eight.prompts / eight.runs
    checks.append((f"power at 0.08, hybrid: {eight.share('passed'):.3f} ≥ 0.98",
                   eight.share("passed") >= 0.98))  # fmt: skip
    checks.append((f"mean prompts at 0.08, hybrid: {used:.0f} ≤ 550", used <= 550))
    for cell in false_passes():
        if cell.method in METHODS:
            # A level that is kept exactly is exceeded by noise half of the time.
            noise = 1.645 * (ALPHA * (1 - ALPHA) / found[cell].runs) ** 0.5
            share = found[cell].share("passed")
            label = f"false PASS, {cell.method}, {KINDS[cell.kind][0]}, {cell.cap}: {share:.4f} ≤ {ALPHA + noise:.4f}"
            checks.append((label, share <= ALPHA + noise))
    return checks


def plot(found: dict[Cell, Outcome], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for method, marker in zip(METHODS, "osD^", strict=True):
        outcomes = [found[c] for c in powers() if c.method == method]
        left.plot(EFFECTS, [o.share("passed") for o in outcomes], marker=marker, label=method)
        right.plot(EFFECTS, [o.prompts / o.runs for o in outcomes], marker=marker, label=method)
    left.axhline(ALPHA, color="grey", linestyle=":", linewidth=1)
    left.set(xlabel="true difference", ylabel="shown to be better", ylim=(0, 1.03))
    right.set(xlabel="true difference", ylabel="prompts used on average", ylim=(0, CAP * 1.05))
    left.legend(frameon=False)
    _save(figure, folder / "operating-power.png")
    _plot_levels(pyplot, found, folder)


def _plot_levels(pyplot: Any, found: dict[Cell, Outcome], folder: Path) -> None:
    """False passes on a small suite, with 95% intervals."""
    figure, axis = pyplot.subplots(figsize=(9, 3.4), layout="constrained")
    for i, (method, marker) in enumerate(zip((T_INTERVAL, *METHODS), "xosD^", strict=True)):
        cells = [c for c in false_passes() if (c.cap, c.method) == (SMALL, method)]
        shares = np.array([found[c].share("passed") for c in cells])
        ends = [stats.binomtest(found[c].passed, found[c].runs).proportion_ci() for c in cells]
        spread = np.array([[s - e.low, e.high - s] for s, e in zip(shares, ends, strict=True)])
        axis.errorbar(
            np.arange(len(cells)) + (i - 2) * 0.13, shares, spread.T, fmt=marker, label=method
        )
    axis.axhline(ALPHA, color="grey", linestyle=":", linewidth=1)
    axis.set_xticks(range(len(KINDS)), [name.replace(" ", "\n", 1) for name, _ in KINDS.values()])
    axis.set(ylabel="passed though worse by the margin", ylim=(0, None))
    axis.legend(frameon=False, ncols=5)
    _save(figure, folder / "operating-false-pass.png")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})


def write(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the markers of a table."""
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    content, count = marked.subn(rf"\g<1>\n{text}\n\n\g<2>", page.read_text(encoding="utf-8"))
    assert count == 1, f"{page}: markers of {name}"
    page.write_text(content, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1_000, help="simulations of each cell")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    cells = [*false_verdicts(), *powers(), *passes(), *false_passes()]
    begin = time.monotonic()
    found = measure({cell: arguments.runs * _weight(cell) for cell in cells})
    tables = {
        "false verdicts": false_verdict_table(found),
        "power": power_table(found, powers(), "passed", [f"difference {e:g}" for e in EFFECTS]),
        "passes": power_table(found, passes(), "passed",
                              ["discordance 0.02", "discordance 0.1", "discordance 0.3"]),
        "false passes": false_pass_table(found),
    }  # fmt: skip
    checks = bars(found)
    for name, text in tables.items():
        print(f"\n{name}\n{text}")
        if not arguments.dry:
            write(PAGE, name, text)
    if not arguments.dry:
        plot(found, DOCS / "images")
    print()
    for label, holds in checks:
        print("holds " if holds else "MISSED", label)
    print(f"{arguments.runs:,} simulations of each cell, {time.monotonic() - begin:.0f} s")
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
