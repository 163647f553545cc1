"""``llmops power``: compute how many prompts a comparison needs, before any is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llmops.cli.options import columns, emit, output_option
from llmops.errors import UsageError

if TYPE_CHECKING:
    from llmops.stats.power import Design


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
    "--prompts", type=click.IntRange(min=2), help="Also report power and MDE for this many prompts."
)
@output_option
def command(prompts: int | None, output: str, **assumed: Any) -> None:
    """Compute how many held-out prompts a comparison needs to show a claim.

    Example: llmops power --margin 0.05 --discordance 0.3 --prompts 500
    """
    from dataclasses import asdict

    design, difference, power = _design(**assumed), assumed["difference"], assumed["power"]
    try:
        needed = _needed(design, difference, power)
        shown = _shown(design, difference, power, prompts) if prompts else None
    except (OverflowError, ValueError) as error:
        raise _refusal(error) from None
    record = {"must": assumed["must"], "margin": abs(design.bar), **asdict(design)}
    record |= {"difference": difference, "power": power, "needed": needed, "with_prompts": shown}
    text = [_claim(design, difference, power), "", _table(needed)]
    emit(output, "\n".join([*text, *(_sentences(shown, power) if shown else [])]), record)


def _design(
    must: str,
    margin: float | None,
    discordance: float | None,
    sd: float | None,
    alpha: float,
    two_sided: bool,
    **_: Any,
) -> Design:
    from llmops.stats.power import Design

    try:
        return Design(_bar(must, margin), discordance, sd, alpha, two_sided)
    except (OverflowError, ValueError) as error:
        raise _refusal(error) from None


def _bar(must: str, margin: float | None) -> float:
    """Return the difference to exceed: minus the tolerated loss, or the demanded gain."""
    size = margin or 0.0
    if must == "improve" and size >= 0:
        return size
    if must == "not_regress" and size > 0:
        return -size
    allowed = "of at least 0"
    if must == "not_regress":
        allowed = "above 0: no suite can show a loss of exactly 0"
    received = "missing" if margin is None else f"received {margin:g}"
    raise UsageError(
        f"--margin: {received}; --must {must} needs a number {allowed}",
        next_command="llmops power --margin 0.05 --discordance 0.3",
    )


def _refusal(error: OverflowError | ValueError) -> UsageError:
    return UsageError(
        f"llmops power: {error}", next_command="llmops power --margin 0.05 --discordance 0.3"
    )


def _needed(design: Design, difference: float, power: float) -> dict[str, dict[str, float | None]]:
    """Return the prompts of each method: at most, and on average (``None``: not simulated)."""
    from llmops.stats.power import hybrid_plan, prompts_needed

    fixed = prompts_needed(design, difference, power)
    hybrid = hybrid_plan(design, difference, power)
    return {
        "fixed": {"prompts": fixed, "mean": fixed},
        "hybrid": {"prompts": hybrid.cap, "mean": hybrid.mean},
    }


def _shown(design: Design, difference: float, power: float, prompts: int) -> dict[str, Any]:
    from dataclasses import replace

    from llmops.stats import power as planning

    return {
        "prompts": prompts,
        "power": planning.power(design, difference, prompts),
        "detectable": planning.detectable(replace(design, bar=0.0), prompts, power),
    }


def _claim(design: Design, difference: float, power: float) -> str:
    spread = f"sd {design.sd:g}" if design.sd else f"discordance {design.discordance:g}"
    sides = "two-sided" if design.two_sided else "one-sided"
    return (
        f"To show a difference above {design.bar:g} if the true difference is {difference:g}: "
        f"{spread}, {sides} alpha {design.alpha:g}, power {power:g}"
    )


def _table(needed: dict[str, dict[str, float | None]]) -> str:
    rows = [
        (
            method,
            f"{row['prompts']:,}",
            "not simulated" if row["mean"] is None else f"{row['mean']:,.0f}",
        )
        for method, row in needed.items()
    ]
    return columns([("method", "prompts", "asked on average"), *rows])


def _sentences(shown: dict[str, Any], power: float) -> list[str]:
    """Return the two lines that say what the given number of prompts can show."""
    mde = shown["detectable"]
    smallest = (
        f"MDE {mde:.3f} at power {power:g}"
        if mde is not None
        else f"no difference is detectable at power {power:g}"
    )
    return [
        "",
        f"With {shown['prompts']:,} prompts: power {shown['power']:.2f} for this claim; {smallest}.",
    ]
