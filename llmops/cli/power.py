"""``llmops power``: compute how many prompts a comparison needs, before any is answered."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import click

from llmops.cli.options import columns, emit, output_option
from llmops.errors import UsageError

if TYPE_CHECKING:
    from llmops.stats import Design, Planned
    from llmops.stats.result import Method

EXAMPLE = "llmops power --margin 0.05 --discordance 0.3"
METHODS = ("spend", "fixed", "hybrid", "obf", "anytime")
PATIENCE_SECONDS = 2.0
"""After this time, a line on stderr says that the simulation runs."""


@click.command("power")
@click.option(
    "--must",
    type=click.Choice(["not_regress", "improve"]),
    default="not_regress",
    show_default=True,
    help="Claim to show: that the candidate loses less than --margin, or gains more than it.",
)
@click.option(
    "--margin",
    type=float,
    help="Non-inferiority margin; with --must improve, the gain to exceed (default 0).",
)
@click.option(
    "--discordance",
    type=float,
    help="For scores of 0 or 1: share of prompts that exactly one side gets right.",
)
@click.option(
    "--sd",
    type=float,
    help="Standard deviation of the paired differences; replaces --discordance for non-binary"
    " scores.",
)
@click.option(
    "--level",
    type=float,
    default=0.5,
    show_default=True,
    help="Mean score of the better side; where scores vary much between prompts, that of the quarter"
    " with the highest. The interval allows for failures too rare to be seen, and a failure costs"
    " the score: the higher the level, the more prompts.",
)
@click.option(
    "--cluster-size",
    metavar="M[,M...]",
    help="Prompts of a cluster (a document, a customer); several sizes take turns.",
)
@click.option(
    "--clusters", type=int, help="Replaces --cluster-size if the number of clusters is fixed."
)
@click.option(
    "--icc",
    type=float,
    help="Intraclass correlation of the differences: how alike the prompts of a cluster are, 0 to 1.",
)
@click.option(
    "--difference", type=float, default=0.0, show_default=True, help="Assumed true difference."
)
@click.option(
    "--alpha",
    type=float,
    default=0.025,
    show_default=True,
    help="Significance level of the claim; 0.025 for a comparison with 95% intervals.",
)
@click.option("--two-sided", is_flag=True, help="Test both directions, each at half of alpha.")
@click.option(
    "--power",
    type=float,
    default=0.8,
    show_default=True,
    help="Probability of showing the claim if the true difference is --difference.",
)
@click.option(
    "--method",
    "methods",
    type=click.Choice(METHODS),
    multiple=True,
    default=("spend", "fixed"),
    show_default=True,
    help="Stopping method of the comparison. Repeatable.",
)
@click.option(
    "--prompts", type=click.IntRange(min=2), help="Also report power and MDE for this many prompts."
)
@click.option(
    "--simulations",
    type=click.IntRange(min=100),
    help="Simulated comparisons of each reported power.  [default: 4000]",
)
@output_option
def command(
    methods: tuple[str, ...],
    prompts: int | None,
    simulations: int | None,
    output: str,
    **given: Any,
) -> None:
    """Compute how many held-out prompts a comparison needs to show a claim.

    The comparison itself is simulated, with looks after every 32 prompts. Without --cluster-size or
    --clusters, prompts are assumed to be independent.

    Example: llmops power --margin 0.05 --discordance 0.3 --prompts 500
    """
    from dataclasses import asdict

    from llmops.stats import OutOfReachError, prompts_needed
    from llmops.stats.power import SIMULATIONS

    difference, power, runs = given["difference"], given["power"], simulations or SIMULATIONS
    needed: dict[str, Planned | None] = {}
    beyond: dict[str, str] = {}
    shown: dict[str, dict[str, Any]] = {}
    try:
        design = _design(**given)
        with _patience():
            for name in dict.fromkeys(methods):
                method = cast("Method", name)
                try:
                    needed[name] = prompts_needed(
                        design, difference, power, method, simulations=runs
                    )
                except OutOfReachError as error:
                    if prompts is None:
                        raise
                    needed[name], beyond[name] = None, f"{name}: {error}"
                if prompts:
                    shown[name] = _shown(design, difference, power, method, prompts, runs)
    except ValueError as error:
        raise UsageError(f"llmops power: {error}", next_command=EXAMPLE) from None
    record = {"must": given["must"], "margin": abs(design.bar), **asdict(design)}
    record |= {"difference": difference, "power": power, "simulations": runs}
    record |= {"needed": {name: plan and plan._asdict() for name, plan in needed.items()}}
    record |= {"with_prompts": shown or None}
    text = [_claim(design, difference, power), *_assumed(design), "", _table(needed)]
    text += [*beyond.values(), *_sentences(shown, power), _accuracy(needed)]
    emit(output, "\n".join(text), record)


def _design(
    must: str,
    margin: float | None,
    discordance: float | None,
    sd: float | None,
    level: float,
    cluster_size: str | None,
    clusters: int | None,
    icc: float | None,
    alpha: float,
    two_sided: bool,
    **_: Any,
) -> Design:
    from llmops.stats import Design

    grouped = clusters is not None or cluster_size is not None
    if grouped != (icc is not None):
        missing = "--icc: missing" if grouped else "--icc: received without clusters"
        raise UsageError(
            f"{missing}; clusters need their size (or number) and --icc",
            next_command=f"{EXAMPLE} --cluster-size 4 --icc 0.3",
        )
    return Design(
        bar=_bar(must, margin),
        discordance=discordance,
        sd=sd,
        alpha=alpha / 2 if two_sided else alpha,
        level=level,
        clusters=clusters,
        sizes=_sizes(cluster_size or "1"),
        icc=icc or 0.0,
    )


def _bar(must: str, margin: float | None) -> float:
    """Return the difference to exceed: minus the tolerated loss, or the demanded gain."""
    size = margin or 0.0
    if must == "improve" and 0 <= size < 1:
        return size
    if must == "not_regress" and 0 < size < 1:
        return -size
    allowed = "of at least 0"
    if must == "not_regress":
        allowed = "above 0: no suite can show a loss of exactly 0"
    if size >= 1:
        allowed = "below 1: scores lie between 0 and 1, so 5 points are 0.05"
    received = "missing" if margin is None else f"received {margin:g}"
    raise UsageError(
        f"--margin: {received}; --must {must} needs a number {allowed}", next_command=EXAMPLE
    )


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--cluster-size: received {text!r}; allowed: a whole number, or several with commas",
            next_command=f"{EXAMPLE} --cluster-size 1,3,12 --icc 0.3",
        ) from None


@contextmanager
def _patience() -> Iterator[None]:
    """Say on stderr that the simulation runs, if it takes longer than a moment."""
    line = "simulating comparisons; --simulations 1000 is faster, and less precise"
    timer = threading.Timer(PATIENCE_SECONDS, print, [line], {"file": sys.stderr, "flush": True})
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shown(
    design: Design, difference: float, power: float, method: Method, prompts: int, runs: int
) -> dict[str, Any]:
    """Return what the given number of prompts can show."""
    from llmops.stats import detectable, simulated_power

    plan = simulated_power(design, difference, prompts, method, simulations=runs)
    mde = detectable(design, prompts, power, method, simulations=runs)
    return {**plan._asdict(), "detectable": mde}


def _claim(design: Design, difference: float, power: float) -> str:
    spread = f"sd {design.sd}, level {design.level:g}"
    if design.discordance is not None:
        spread = f"discordance {design.discordance:g}"
    return (
        f"To show a difference above {design.bar:g} if the true difference is {difference:g}: "
        f"{spread}, one-sided alpha {design.alpha:g}, power {power:g}"
    )


def _assumed(design: Design) -> list[str]:
    """Return the line that says how prompts depend on each other."""
    if design.independent:
        return [
            "Assumed: independent prompts. If some belong together, give --cluster-size and --icc."
        ]
    sizes = ", ".join(map(str, design.sizes))
    what = f"{design.clusters} clusters" if design.clusters else f"clusters of {sizes} prompts"
    return [f"Assumed: {what}, intraclass correlation {design.icc:g}"]


def _table(needed: dict[str, Planned | None]) -> str:
    rows = [
        (name, f"{plan.prompts:,}", f"{plan.mean:,.0f}", f"{plan.power:.2f}")
        if plan
        else (name, "out of reach", "", "")
        for name, plan in needed.items()
    ]
    return columns([("method", "prompts", "asked on average", "power"), *rows])


def _sentences(shown: dict[str, dict[str, Any]], power: float) -> list[str]:
    """Return the lines that say what the given number of prompts can show."""
    lines = [""] if shown else []
    for name, plan in shown.items():
        mde = plan["detectable"]
        smallest = (
            f"MDE {mde:.3f} at power {power:g}"
            if mde is not None
            else f"no difference is detectable at power {power:g}"
        )
        lines.append(
            f"With {plan['prompts']:,} prompts, {name}: power {plan['power']:.2f} for this claim; "
            f"{smallest}."
        )
    return lines


def _accuracy(needed: dict[str, Planned | None]) -> str:
    error = max(plan.error if plan else 1e-9 for plan in needed.values())
    if error == 0:
        return "\nPower is computed exactly."
    return f"\nPower is simulated, with an error of up to ±{max(0.01, 1.96 * error):.2f}."
