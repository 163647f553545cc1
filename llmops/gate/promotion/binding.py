"""Policy and suite are bound: what the first promotion was judged by holds for those that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llmops.errors import UsageError
from llmops.models.proof.schema import EvidenceRecord
from llmops.records import ModelVersion
from llmops.records.promotion import Entry
from llmops.report import markdown
from llmops.report.wording import clean

DIGITS = 12
"""Digits shown of a digest."""
REASON = 300
"""Most characters of a reason on a version's page; the ledger has it in full."""


class Bound(NamedTuple):
    """What a version was judged by: digests of the policy with its scorers, and of the suite."""

    policy: str
    suite: str


def bound_of(evidence: EvidenceRecord) -> Bound:
    """Return what evidence binds a registered model to.

    Evidence of schema 1 does not list its scorers; there the policy's own digest counts.
    """
    policy = getattr(evidence.policy, "bound", None) or evidence.policy.digest
    return Bound(str(policy), evidence.suite.digest)


def in_force(entries: Sequence[Entry]) -> Bound | None:
    """Return what the entries of an alias bind it to; ``None`` before the first promotion."""
    for entry in reversed(entries):
        if entry.policy is not None and entry.suite is not None:
            return Bound(entry.policy, entry.suite)
    return None


def check_bound(
    candidate: ModelVersion, judged: Bound, entries: Sequence[Entry], *, allowed: bool, alias: str
) -> bool:
    """Return whether a version was judged by another policy or suite than those in force.

    Args:
        candidate: The version.
        judged: What it was judged by.
        entries: The ledger's entries of the alias.
        allowed: Whether another policy or suite is what the user wants.
        alias: The alias, for an error.

    Raises:
        UsageError: They differ, and are not allowed to.
    """
    bound = in_force(entries)
    if bound is None or bound == judged:
        return False
    if allowed:
        return True
    differ = [
        f"{what} {now[:DIGITS]} instead of {before[:DIGITS]}"
        for what, before, now in zip(("policy", "suite"), bound, judged, strict=True)
        if before != now
    ]
    raise UsageError(
        f"{candidate.uri}: it was judged by another {' and another '.join(differ)}, to which"
        f" @{alias} of {candidate.name} is bound since its first promotion",
        next_command="judge it by the policy and suite that are in force, or accept the new ones:"
        f" llmops promote {candidate.uri} --to {alias} --policy-changed --why TEXT",
    )


def describe_change(entry: Entry) -> str:
    """Return the line of a version's page about a promotion under another policy or suite."""
    reason = markdown.escape(clean(entry.why, REASON))
    who = markdown.escape(clean(entry.who, 60))
    return (
        f"**Policy or suite changed** by {who}, {entry.when[:16].replace('T', ' ')} UTC: {reason}"
    )
