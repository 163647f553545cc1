"""Audit: champions that no evidence covers, whoever moved the alias and however."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmops.errors import LlmopsError, NotFoundError
from llmops.gate.promotion.champion import State, promotion_command, state, verify_in_store
from llmops.models import versions
from llmops.models.proof.evidence import again, recorded
from llmops.records.promotion import Kind
from llmops.store import ledger, registry
from llmops.store.tags import LEDGER, PROOF

CHAMPION = "champion"
PATIENCE_SECONDS = 2.0
"""Seconds after which a promotion that is under way counts as half done."""
UNPROVEN = "UNPROVEN"
"""Value of the tag that an audit writes."""


@dataclass(frozen=True)
class Finding:
    """Something that an audit found.

    Attributes:
        name: Registered model.
        alias: The alias.
        version: Version to which the alias points; ``None`` if to none.
        problem: What is wrong.
        next_command: What helps.
    """

    name: str
    alias: str
    version: str | None
    problem: str
    next_command: str


def audit(names: Sequence[str] | None = None, *, mark: bool = False) -> tuple[Finding, ...]:
    """Find aliases of champions that no evidence covers.

    An alias is in order if it points where the ledger says, its version's evidence passed and is
    about the bytes that the version has in the store. The bytes are downloaded and read.

    Args:
        names: Registered models; default: all.
        mark: Also write the tag ``proof`` = UNPROVEN to the model and the version of each finding,
            and remove it from those that are in order.

    Returns:
        What was found, by model; empty if all is in order.

    Raises:
        NotFoundError: There is no such model.
        StoreError: The MLflow store refuses or does not answer.

    Example:
        from llmops.gate import audit

        for finding in audit(["bot"]):
            print(finding.name, finding.problem, finding.next_command)
    """
    records = registry.models() if names is None else [_record(name) for name in names]
    found: list[Finding] = []
    for record in records:
        here = list(_audited(record))
        if mark:
            _mark(record, here)
        found += here
    return tuple(found)


def half_done(names: Sequence[str] | None = None) -> tuple[Finding, ...]:
    """Find promotions and rollbacks that were broken off; no bytes are read.

    A ledger that was deleted, renamed or damaged is a finding, too.

    Args:
        names: Registered models; default: all that have a ledger.

    Raises:
        StoreError: The MLflow store refuses or does not answer.
    """
    if names is None:
        names = [record.name for record in registry.models() if LEDGER in record.tags]
    return tuple(finding for name in names for finding in _broken(name))


def _broken(name: str) -> Iterator[Finding]:
    try:
        for alias in dict.fromkeys(entry.alias for entry in ledger.entries(name)):
            now = _state(name, alias)
            if now.half_done:
                yield _unfinished(now)
    except LlmopsError as error:
        yield Finding(name, CHAMPION, None, error.message, error.next_command or "")


def _record(name: str) -> Any:
    record = registry.model_record(name)
    if record is None:
        raise NotFoundError(f"{name}: no such registered model", next_command="llmops audit --all")
    return record


def _audited(record: Any) -> Iterator[Finding]:
    """Yield what is wrong with the aliases of a model that a gate guards."""
    name = str(record.name)
    try:
        promoted = [entry.alias for entry in ledger.entries(name)]
    except LlmopsError as error:  # deleted, renamed or damaged
        version = record.aliases.get(CHAMPION)
        yield Finding(name, CHAMPION, _text(version), error.message, error.next_command or "")
        return
    for alias in dict.fromkeys([CHAMPION, *promoted]):
        if alias in promoted or alias in record.aliases:
            found = _judged(name, alias)
            if found is not None:
                yield found


def _judged(name: str, alias: str) -> Finding | None:
    """Return the first thing that is wrong with an alias, ``None`` if all is in order."""
    try:
        now = _state(name, alias)
    except NotFoundError as error:  # a deleted version, and nothing on record
        return Finding(name, alias, None, error.message, error.next_command or "")
    if now.half_done:
        return _unfinished(now)
    back = promotion_command(f"models:/{name}/{now.champion}", alias)
    if now.gone:
        problem = f"version {now.champion} is champion by the ledger, but the alias is gone"
        return Finding(name, alias, None, problem, f"{back}, or llmops rollback {name} --why TEXT")
    if now.points_to is None:
        return None
    if now.moved_by_hand:
        problem = f"moved by hand; by the ledger version {now.champion} is champion"
        return Finding(name, alias, now.points_to, problem, f"put it back: {back}")
    return _unproven(name, alias, now.points_to)


def _unproven(name: str, alias: str, version: str) -> Finding | None:
    """Return why no evidence covers the bytes of a version, ``None`` if some does."""
    uri = f"models:/{name}/{version}"
    step = again(uri)
    try:
        held = versions.get_version(name, version)
        evidence = recorded(name, version).content
        if evidence.candidate.identity != held.digest:
            return Finding(name, alias, version, "its evidence is about other bytes", step)
        if not evidence.passed:
            problem = f"its evidence says {evidence.verdict}, which did not pass"
            return Finding(name, alias, version, problem, step)
        verify_in_store(held)
    except LlmopsError as error:
        return Finding(name, alias, version, error.message, error.next_command or step)
    return None


def _state(name: str, alias: str) -> State:
    """Return the state of an alias, once nothing is under way."""
    found = state(name, alias)
    if found.half_done:
        time.sleep(PATIENCE_SECONDS)
        return state(name, alias)
    return found


def _unfinished(found: State) -> Finding:
    assert found.last is not None
    last = found.last
    if last.kind is Kind.ROLLBACK:
        step = f"llmops rollback {found.name} --to {last.version} --why TEXT"
        step += "" if found.alias == CHAMPION else f" --alias {found.alias}"
    else:
        step = promotion_command(f"models:/{found.name}/{last.version}", found.alias)
    problem = (
        f"half done: the {last.kind.noun} to version {last.version} by {last.who},"
        f" {last.when[:19].replace('T', ' ')} UTC, did not move the alias"
    )
    return Finding(found.name, found.alias, found.points_to, problem, step)


def _mark(record: Any, findings: Sequence[Finding]) -> None:
    """Make the tag ``proof`` say what was found: written where something is wrong, else removed."""
    wrong = {finding.version for finding in findings} - {None}
    for version in registry.versions_with_tag(record.name, PROOF):
        if version not in wrong:
            registry.remove_version_tags(record.name, version, [PROOF])
    for version in sorted(str(version) for version in wrong):
        registry.annotate_version(record.name, version, {PROOF: UNPROVEN})
    if findings:
        registry.annotate_model(record.name, PROOF, UNPROVEN)
    elif PROOF in record.tags:
        registry.remove_model_tag(record.name, PROOF)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
