"""``llmops power``: how many prompts a claim needs, before any is answered."""

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
    help="What is to be shown.",
)
@click.option(
    "--margin", type=float, help="Loss tolerated, or gain demanded (0 if nothing is said)."
)
@click.option("--discordance", type=float, help="Share of prompts where one side alone is right.")
@click.option("--sd", type=float, help="Instead, for other scores: their differences' spread.")
@click.option(
    "--difference", type=float, default=0.0, show_default=True, help="True difference assumed."
)
@click.option(
    "--alpha",
    type=float,
    default=0.025,
    show_default=True,
    help="Level of a claim; a comparison with 95% intervals has 0.025.",
)
@click.option("--two-sided", is_flag=True, help="Both directions count; alpha is shared.")
@click.option("--power", type=float, default=0.8, show_default=True, help="Power wanted.")
@click.option("--prompts", type=click.IntRange(min=2), help="Say what so many prompts can show.")
@output_option
def command(prompts: int | None, output: str, **assumed: Any) -> None:
    """Say how many prompts a claim needs, and what a suite of a given size can show."""
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
    """Return what the difference must be shown to exceed: a loss tolerated, or a gain demanded."""
    wanted = margin or 0.0
    if must == "improve" and wanted >= 0:
        return wanted
    if must == "not_regress" and wanted > 0:
        return -wanted
    needed = "of at least 0"
    if must == "not_regress":
        needed = "above 0: no suite can show a loss of exactly nothing"
    received = "missing" if margin is None else f"received {margin:g}"
    raise UsageError(
        f"--margin: {received}; --must {must} needs a number {needed}",
        next_command="llmops power --margin 0.05 --discordance 0.3",
    )


def _refusal(error: OverflowError | ValueError) -> UsageError:
    return UsageError(
        f"llmops power: {error}", next_command="llmops power --margin 0.05 --discordance 0.3"
    )


def _needed(design: Design, difference: float, power: float) -> dict[str, dict[str, float | None]]:
    """Prompts at most, and on average, for each method."""
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
        f"To show a difference above {design.bar:g} if it is {difference:g}: "
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
    return columns([("method", "prompts", "used on average"), *rows])


def _sentences(shown: dict[str, Any], power: float) -> list[str]:
    found = shown["detectable"]
    smallest = (
        f"the smallest difference from 0 found with power {power:g} is {found:.3f}"
        if found is not None
        else f"no difference from 0 is found with power {power:g}"
    )
    return [
        "",
        f"With {shown['prompts']:,} prompts: power {shown['power']:.2f} for this; {smallest}.",
    ]
