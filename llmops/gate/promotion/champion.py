"""Which version an alias belongs to: the ledger decides, and the registry's alias follows it.

A promotion appends an entry to the ledger, moves the alias, and marks the entry as done. Whoever is
killed in between leaves an entry that is half done, which any later promotion finishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from llmops.errors import NotFoundError
from llmops.gate.promotion.binding import describe_change
from llmops.models import adapters, bases, versions
from llmops.progress import say
from llmops.records import ModelVersion
from llmops.records.promotion import Entry, Kind
from llmops.report.lineage import with_note
from llmops.store import ledger, registry
from llmops.store.tags import BOUND_POLICY, BOUND_SUITE, EVIDENCE

EVIDENCE_DIGITS = 12
"""Digits of an evidence's digest in the tag of a version."""


@dataclass(frozen=True)
class State:
    """An alias, and what the ledger says about it.

    Attributes:
        name: Registered model.
        alias: The alias.
        entries: The ledger's entries for this alias, the first one first.
        next_number: Number of the next entry of this model.
        points_to: Version to which the alias points now; ``None`` if there is no such alias, or its
            version was deleted.
        done: Whether the last entry was carried out.
    """

    name: str
    alias: str
    entries: tuple[Entry, ...]
    next_number: int
    points_to: str | None
    done: bool

    @property
    def last(self) -> Entry | None:
        """The last entry, which names the champion."""
        return self.entries[-1] if self.entries else None

    @property
    def champion(self) -> str | None:
        """The champion: the last entry's version, before the first entry the alias' own."""
        return self.last.version if self.last else self.points_to

    @property
    def half_done(self) -> bool:
        """Whether the last entry was written, and the alias not yet moved."""
        last = self.last
        return last is not None and not self.done and self.points_to == last.before

    @property
    def gone(self) -> bool:
        """Whether somebody removed the alias, or deleted its version."""
        return self.last is not None and self.points_to is None and not self.half_done

    @property
    def moved_by_hand(self) -> bool:
        """Whether the alias points to another version than the ledger says."""
        return self.points_to not in (None, self.champion) and not self.half_done


def state(name: str, alias: str) -> State:
    """Read the ledger and the alias of a registered model.

    Raises:
        NotFoundError: There is no such model; or the alias points to a deleted version, and no entry
            says which version it belongs to.
        IntegrityError: The ledger is damaged.
        StoreError: The ledger was deleted or renamed, or the store does not answer.
    """
    found = ledger.read(name)
    entries = found.of(alias)
    try:
        points_to = registry.version_of_alias(name, alias)
    except NotFoundError:
        if not entries:
            raise
        points_to = None
    return State(
        name=name,
        alias=alias,
        entries=entries,
        next_number=len(found.entries) + 1,
        points_to=points_to,
        done=bool(entries) and entries[-1].number in found.done,
    )


def settle(name: str, alias: str) -> None:
    """Make the alias point where the last entry says, whoever wrote it.

    The ledger is read again after each write: an alias that another process moved in the meantime,
    for an older entry or a newer one, ends where the newest entry says.

    Raises:
        LlmopsError: See ``state``.
    """
    while True:
        found = state(name, alias)
        last = found.last
        if last is None:
            return
        if found.points_to != last.version:
            _announce(last, name)
            registry.set_alias(name, alias, last.version)
        elif found.done:
            return
        after = state(name, alias)
        if after.last == last and after.points_to == last.version:
            ledger.mark_done(name, last.number)
            return


def finish(found: State) -> State:
    """Carry out an entry that another process wrote and was killed after; return the state then."""
    if found.half_done and found.last is not None:
        settle(found.name, found.alias)
        say(
            f"gate: models:/{found.name}/{found.last.version} is @{found.alias} now: its {found.last.kind.noun}"
            f" by {found.last.who} ({found.last.when}) was half done"
        )
        return state(found.name, found.alias)
    return found


def former(found: State) -> tuple[Entry, ...]:
    """Return the champions to which a rollback may go, the one before the current one last.

    A rollback goes back in time: champions after its target are not offered again. Versions that were
    deleted are left out.
    """
    line: list[Entry] = []
    for entry in found.entries:
        earlier = [i for i, known in enumerate(line) if known.version == entry.version]
        if entry.kind is Kind.ROLLBACK and earlier:
            line = line[: earlier[-1]]
        line.append(entry)
    return tuple(entry for entry in line[:-1] if registry.version_exists(found.name, entry.version))


def verify_in_store(version: ModelVersion) -> None:
    """Read a version's bytes in the store, from which every machine will load it.

    Raises:
        IntegrityError: They are not those that it was logged with.
        StoreError: The store refuses or does not answer.
    """
    if version.adapter_digest is None:
        bases.verify_in_store(version.uri, version.base_digest)
    else:
        adapters.verify_in_store(version.uri, version.adapter_digest)


def promotion_command(uri: str, alias: str) -> str:
    """Return the command that promotes a version to an alias."""
    return f"llmops promote {uri}" + ("" if alias == "champion" else f" --to {alias}")


def _announce(entry: Entry, name: str) -> None:
    """Write what readers find beside the alias; before it moves, so that a kill leaves no gap."""
    for key, value in ((BOUND_POLICY, entry.policy), (BOUND_SUITE, entry.suite)):
        if value is not None and registry.model_tag(name, key) != value:
            registry.annotate_model(name, key, value)
    if entry.policy_changed:
        change = partial(with_note, note=describe_change(entry))
        model_id = versions.get_version(name, entry.version).model_id
        registry.redescribe(name, entry.version, model_id, change)
    if entry.kind is Kind.ROLLBACK and entry.evidence is not None:
        # A later gate may have judged the version against its successor; what made it champion
        # before is what it is trusted for again, and deployments ask for it.
        registry.annotate_version(name, entry.version, {EVIDENCE: entry.evidence[:EVIDENCE_DIGITS]})
