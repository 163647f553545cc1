"""Rollback: an alias goes back to a version that had it before."""

from __future__ import annotations

from llmops.errors import IntegrityError, UsageError
from llmops.gate.promotion.champion import State, finish, former, settle, state, verify_in_store
from llmops.models import versions
from llmops.progress import say
from llmops.records.names import check_alias
from llmops.records.promotion import Entry, Kind
from llmops.store import ledger


def rollback(name: str, *, to: str | None = None, why: str, alias: str = "champion") -> str:
    """Move an alias back to a version that was champion before, and write that into the ledger.

    A call that is killed leaves the alias as it was, or a rollback that is half done; the same call
    finishes it. Of several calls at once, from whatever machine, one succeeds.

    Args:
        name: Registered model.
        to: Version; default: the champion before the current one. A rollback goes back in time: after
            5, 6, 7 and two rollbacks, version 5 is champion.
        why: The reason, which the ledger keeps.
        alias: The alias to move.

    Returns:
        The version's immutable URI, ``models:/NAME/VERSION``.

    Raises:
        UsageError: There is no reason, or no earlier champion; the version never was champion, or it
            is champion now; or another promotion or rollback was faster.
        NotFoundError: No such model, or the version was deleted.
        IntegrityError: The version's bytes are not those with which it was champion.
        StoreError: The MLflow store refuses or does not answer; or the ledger was deleted or renamed.

    Example:
        from llmops.gate import rollback

        rollback("bot", why="answers in the wrong language")
    """
    check_alias(alias)
    why = why.strip()
    if not why:
        raise UsageError("a rollback needs a reason", next_command="add --why TEXT")
    before = state(name, alias)
    found = finish(before)
    last = _last(found)
    if before.half_done and last.kind is Kind.ROLLBACK and to in (None, last.version):
        return _uri(found)
    _refuse_again(found, last, to, why)
    if to == last.version:
        _verify(name, last)
        settle(name, alias)
        say(f"gate: {_uri(found)} is @{alias} by the ledger")
        return _uri(found)
    target = _target(found, to)
    _verify(name, target)
    _write(found, last, target, why)
    settle(name, alias)
    return f"models:/{name}/{target.version}"


def _write(found: State, last: Entry, target: Entry, why: str) -> None:
    """Append the rollback, unless the champion is no longer the one that the user decided about."""
    while not _append(found, target, why):
        found = finish(state(found.name, found.alias))
        if found.last != last:
            raise UsageError(
                f"{found.name}: stale: another promotion or rollback was faster; {_uri(found)} is"
                f" @{found.alias} now",
                next_command=f"llmops history {found.name}, then decide again",
            )


def _last(found: State) -> Entry:
    if found.last is None:
        raise UsageError(
            f"{found.name}: no promotion to @{found.alias} is on record, so there is nothing to go back to",
            next_command=f"llmops history {found.name}",
        )
    return found.last


def _refuse_again(found: State, last: Entry, to: str | None, why: str) -> None:
    """Refuse the same command a second time: who repeats it is not asking to go back further."""
    if to is None and last.kind is Kind.ROLLBACK and last.why == why and not found.moved_by_hand:
        raise UsageError(
            f"{found.name}: @{found.alias} went back to version {last.version} for this reason already"
            f" ({last.when[:19].replace('T', ' ')} UTC)",
            next_command=f"to go back further, name the version: llmops rollback {found.name}"
            " --to VERSION --why TEXT",
        )


def _target(found: State, to: str | None) -> Entry:
    """Return the entry with which the version was champion."""
    offered = former(found)
    if to is None and offered:
        return offered[-1]
    once = [entry for entry in found.entries if entry.version == to]
    if to is not None and once:
        return once[-1]
    known = ", ".join(dict.fromkeys(entry.version for entry in offered)) or "none"
    complaint = (
        "no earlier champion is left" if to is None else f"version {to} was never @{found.alias}"
    )
    raise UsageError(
        f"{found.name}: {complaint}; earlier champions: {known}",
        next_command=f"llmops history {found.name}",
    )


def _verify(name: str, target: Entry) -> None:
    """Refuse a version whose bytes are not those with which it was champion."""
    held = versions.get_version(name, target.version)
    if held.digest != target.identity:
        raise IntegrityError(
            f"{held.uri}: its bytes have the digest {held.digest[:16]}…; as champion it had"
            f" {target.identity[:16]}…"
        )
    verify_in_store(held)


def _append(found: State, target: Entry, why: str) -> bool:
    entry = ledger.new_entry(
        found.next_number,
        Kind.ROLLBACK,
        found.alias,
        found.champion,
        target.version,
        identity=target.identity,
        evidence=target.evidence,
        why=why,
    )
    return ledger.append(found.name, entry)


def _uri(found: State) -> str:
    return f"models:/{found.name}/{found.champion}"
