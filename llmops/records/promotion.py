"""Records of promotions: one entry of a ledger for each move of an alias."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a version became the one that an alias points to."""

    PROMOTE = "promote"
    """It passed a gate."""
    ROLLBACK = "rollback"
    """It was champion before, and somebody went back to it."""
    ADOPTED = "adopted"
    """The alias pointed to it when the ledger was begun."""

    @property
    def noun(self) -> str:
        """What happened, as a noun."""
        return {"promote": "promotion", "rollback": "rollback", "adopted": "adoption"}[self]


@dataclass(frozen=True)
class Entry:
    """One move of an alias.

    Attributes:
        number: Place in the ledger of the registered model, from 1.
        kind: How the version got the alias.
        alias: The alias, without ``@``.
        before: Version that lost the alias; ``None`` if no version had it.
        version: Version that got the alias.
        identity: Digest of its base and adapter together.
        evidence: SHA-256 of the evidence that allowed it; ``None`` for an adopted version without any.
        policy: Digest of the policy and the scorers that are in force from here on; ``None`` if an
            adopted version binds none.
        suite: Digest of the suite, likewise.
        policy_changed: Whether policy or suite differ from those that were in force.
        who: Name of the account.
        why: Reason that was given; empty if none was.
        when: Time in UTC, ISO 8601 with its offset.
        commit: Git commit of the folder in which the command ran; empty outside a repository.
        nonce: Random; makes each attempt to write an entry different.
    """

    number: int
    kind: Kind
    alias: str
    before: str | None
    version: str
    identity: str
    evidence: str | None
    policy: str | None
    suite: str | None
    policy_changed: bool
    who: str
    why: str
    when: str
    commit: str
    nonce: str
