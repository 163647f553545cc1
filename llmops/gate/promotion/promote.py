"""Promotion: an alias moves only on evidence about these bytes and the current champion."""

from __future__ import annotations

from llmops.errors import UsageError, rephrased
from llmops.gate.evidence.verify import contradiction
from llmops.gate.promotion.binding import bound_of, check_bound
from llmops.gate.promotion.champion import (
    State,
    finish,
    former,
    promotion_command,
    settle,
    state,
    verify_in_store,
)
from llmops.models import versions
from llmops.models.proof.evidence import Recorded, again, recorded
from llmops.models.proof.schema import EvidenceRecord
from llmops.records import ModelVersion
from llmops.records.names import check_alias
from llmops.records.promotion import Kind
from llmops.store import ledger, registry


def promote(
    uri: str, *, alias: str = "champion", policy_changed: bool = False, why: str = ""
) -> str:
    """Move an alias to a version whose evidence allows it, and write that into the ledger.

    A call that is killed leaves the alias as it was, or a promotion that is half done; the same call
    finishes it. Of several calls at once, from whatever machine, one succeeds.

    Args:
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        alias: The alias to move, which the policy of the evidence names.
        policy_changed: Accept a policy or suite other than those of the last promotion.
        why: The reason, which the ledger keeps; required with ``policy_changed``, and for evidence of a
            comparison that was made without the policy.

    Returns:
        The version's immutable URI, ``models:/NAME/VERSION``.

    Raises:
        UsageError: The version has no evidence; the evidence is damaged, contradicts itself, did not
            pass, names another alias, or follows another policy or suite; its policy was not recorded
            before the first answer, and there is no ``why``; it is stale: the version or the champion
            have changed; or the alias was moved by hand to a third version.
        IntegrityError: The version's bytes in the store are not those that it was logged with; or the
            ledger is damaged; or the evidence is not about what was frozen before the first answer.
        NotFoundError: No such version or alias, or the alias points to a deleted version.
        StoreError: The MLflow store refuses or does not answer; or the ledger was deleted or renamed.

    Example:
        from llmops.gate import promote

        promote("models:/bot@challenger", alias="champion")
    """
    check_alias(alias)
    if policy_changed and not why.strip():
        raise UsageError("a changed policy needs a reason", next_command="add --why TEXT")
    name, version = registry.parse(uri)
    candidate = versions.get_version(name, version)
    evidence = _evidence(candidate, alias)
    found = _checked(evidence.content, candidate, alias, why)
    verify_in_store(candidate)
    while found.last is None or found.champion != version:
        if _append(found, candidate, evidence, policy_changed=policy_changed, why=why.strip()):
            break
        found = _checked(evidence.content, candidate, alias, why)  # what another process wrote
    settle(name, alias)
    return candidate.uri


def _evidence(candidate: ModelVersion, alias: str) -> Recorded:
    """Return a version's evidence, if it is whole, about its bytes, and for this alias."""
    evidence = recorded(candidate.name, candidate.version)
    _refuse_contradiction(evidence.content, candidate)
    _refuse_other_alias(evidence.content, candidate, alias)
    _refuse_other_bytes(evidence.content, candidate)
    return evidence


def _checked(evidence: EvidenceRecord, candidate: ModelVersion, alias: str, why: str) -> State:
    """Finish what is half done, then refuse evidence that does not hold against today's champion."""
    found = finish(state(candidate.name, alias))
    if found.champion != candidate.version:
        _refuse_stale(evidence, candidate, found, why)
    if not evidence.passed:
        raise UsageError(
            f"{candidate.uri}: its verdict is {evidence.verdict}, which the policy does not accept",
            next_command=f"llmops show {candidate.uri}",
        )
    if found.champion != candidate.version and not why.strip():
        _refuse_unfrozen(evidence, candidate, alias)
    if found.moved_by_hand and candidate.version not in (found.champion, found.points_to):
        raise UsageError(
            f"{candidate.name}: @{alias} was moved by hand to version {found.points_to}; by the ledger"
            f" version {found.champion} is champion",
            next_command="put it back: "
            f"{promotion_command(f'models:/{candidate.name}/{found.champion}', alias)}, then rerun."
            f" If version {found.points_to} is to stay, prove it:"
            f" {again(f'models:/{candidate.name}/{found.points_to}')}",
        )
    return found


def _append(
    found: State, candidate: ModelVersion, evidence: Recorded, *, policy_changed: bool, why: str
) -> bool:
    """Write the promotion, or before the first one the version that the alias has already.

    Returns:
        Whether the promotion was written; ``False`` also if another process wrote an entry since
        the ledger was read.
    """
    name, alias, number = found.name, found.alias, found.next_number
    if found.last is None and found.points_to is not None:
        _adopt(found)
        return False
    judged = bound_of(evidence.content)
    changed = check_bound(candidate, judged, found.entries, allowed=policy_changed, alias=alias)
    entry = ledger.new_entry(
        number,
        Kind.PROMOTE,
        alias,
        found.champion,
        candidate.version,
        identity=candidate.digest,
        evidence=evidence.digest,
        policy=judged.policy,
        suite=judged.suite,
        policy_changed=changed,
        why=why,
    )
    return ledger.append(name, entry)


def _adopt(found: State) -> None:
    """Write the version that has the alias as the first entry: it was promoted before the ledger."""
    version = str(found.points_to)
    held = versions.get_version(found.name, version)
    try:
        evidence = recorded(found.name, version)
        digest = evidence.digest if evidence.content.candidate.identity == held.digest else None
    except UsageError:
        digest = None
    entry = ledger.new_entry(
        found.next_number,
        Kind.ADOPTED,
        found.alias,
        None,
        version,
        identity=held.digest,
        evidence=digest,
    )
    ledger.append(found.name, entry)


def _refuse_contradiction(evidence: EvidenceRecord, candidate: ModelVersion) -> None:
    """Refuse evidence whose outcome does not follow from its own metrics and policy."""
    with rephrased(lambda message: f"{candidate.uri}: damaged evidence: {message}"):
        wrong = contradiction(evidence)
    if wrong is not None:
        raise UsageError(
            f"{candidate.uri}: the evidence contradicts itself: {wrong}",
            next_command=again(candidate.uri),
        )


def _refuse_other_alias(evidence: EvidenceRecord, candidate: ModelVersion, alias: str) -> None:
    """Refuse an alias that the policy does not name."""
    allowed = evidence.policy.on_pass
    if alias != allowed:
        raise UsageError(
            f"{candidate.uri}: its policy promotes to @{allowed} (gate.on_pass), not to @{alias}",
            next_command=promotion_command(candidate.uri, allowed),
        )


def _refuse_other_bytes(evidence: EvidenceRecord, candidate: ModelVersion) -> None:
    """Refuse evidence about other bytes than the version has."""
    if evidence.candidate.identity != candidate.digest:
        raise UsageError(
            f"{candidate.uri}: the evidence is about other bytes", next_command=again(candidate.uri)
        )


def _refuse_unfrozen(evidence: EvidenceRecord, candidate: ModelVersion, alias: str) -> None:
    """Refuse evidence of a policy that may have been chosen after the answers were known."""
    if evidence.push is None and evidence.schema_version > 1:
        raise UsageError(
            f"{candidate.uri}: its policy was not recorded before the first answer: the comparison was"
            " made without it",
            next_command=f"{again(candidate.uri)}, or in Python llmops.compare(…, policy=policy); or say"
            f" why it may be promoted: {promotion_command(candidate.uri, alias)} --why TEXT",
        )


def _refuse_stale(
    evidence: EvidenceRecord, candidate: ModelVersion, found: State, why: str
) -> None:
    """Refuse evidence that compares with another side than the champion of the ledger."""
    champion = found.champion
    if champion is None:
        return  # no champion would be replaced
    uri = f"models:/{found.name}/{champion}"
    digest = (
        found.last.identity if found.last else versions.get_version(found.name, champion).digest
    )
    if evidence.baseline.identity == digest or candidate.digest == digest:
        return
    if registry.version_exists(found.name, champion):
        # A gate compares with what the alias points to, so that comes first.
        back = f"put it back: {promotion_command(uri, found.alias)}, then "
        raise UsageError(
            f"{candidate.uri}: the evidence is stale: it compares with {evidence.baseline.uri},"
            f" but @{found.alias} is {uri} now{_whereabouts(found)}",
            next_command=(back if _whereabouts(found) else "") + again(candidate.uri),
        )
    _refuse_deleted_champion(candidate, found, uri, why)


def _whereabouts(found: State) -> str:
    """Return where an alias is that does not point to its champion; empty if it does."""
    if found.moved_by_hand:
        return f" by the ledger; the alias was moved by hand to version {found.points_to}"
    return " by the ledger; the alias was removed" if found.gone else ""


def _refuse_deleted_champion(candidate: ModelVersion, found: State, uri: str, why: str) -> None:
    """Refuse to promote over a champion that was deleted, but for a reason if no other is left."""
    lost = (
        f"{candidate.uri}: the evidence does not compare with {uri}, which is @{found.alias} by the"
        " ledger and was deleted"
    )
    left = former(found)
    if left:
        raise UsageError(
            f"{lost}; version {left[-1].version} was champion before it",
            next_command=f"llmops rollback {found.name} --to {left[-1].version} --why TEXT, then"
            f" {again(candidate.uri)}",
        )
    if not why.strip():
        raise UsageError(
            f"{lost}; no earlier champion is left",
            next_command=f"{promotion_command(candidate.uri, found.alias)} --why TEXT",
        )
