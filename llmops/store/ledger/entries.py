"""Entries of a ledger: read, written first by one process, and marked as done."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from llmops.errors import IntegrityError, StoreError, UsageError
from llmops.records.promotion import Entry, Kind
from llmops.store.connection import client, store_errors
from llmops.store.ledger import place
from llmops.store.tags import GIT_COMMIT

SCHEMA_VERSION = 1
LONGEST = 6_000
"""Characters of a parameter's value that MLflow keeps."""
DONE = "{:06d}.done"
"""Parameter that is written once the alias points where the entry says."""

_NUMBER = re.compile(r"[0-9]{6,}")
_KEYS = {"before": "from", "version": "to"}
"""Attribute → key of the stored JSON, where they differ."""


@dataclass(frozen=True)
class Ledger:
    """What a ledger holds.

    Attributes:
        entries: All entries, the first one first.
        done: Numbers of the entries after which the alias was moved.
    """

    entries: tuple[Entry, ...] = ()
    done: frozenset[int] = frozenset()

    def of(self, alias: str) -> tuple[Entry, ...]:
        """Return the entries of one alias."""
        return tuple(entry for entry in self.entries if entry.alias == alias)


def read(name: str) -> Ledger:
    """Read the ledger of a registered model; it is empty if nothing was ever promoted.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: An entry is damaged or missing.
        StoreError: The ledger was deleted or renamed, or the store does not answer; see ``place.find``.
    """
    run = place.find(name)
    if run is None:
        return Ledger()
    values: Mapping[str, str] = run.data.params
    numbers = sorted(int(key) for key in values if _NUMBER.fullmatch(key))
    if numbers != list(range(1, len(numbers) + 1)):
        absent = next(i for i, number in enumerate([*numbers, 0], 1) if number != i)
        raise IntegrityError(
            f"{_place(name, run)}: entry {absent} is missing, but not the next one"
        )
    found = tuple(_parsed(values[f"{number:06d}"], number, _place(name, run)) for number in numbers)
    return Ledger(found, frozenset(n for n in numbers if DONE.format(n) in values))


def entries(name: str) -> tuple[Entry, ...]:
    """Return all entries of a model's ledger, the first one first; see ``read``."""
    return read(name).entries


def new_entry(
    number: int,
    kind: Kind,
    alias: str,
    before: str | None,
    version: str,
    **details: Any,
) -> Entry:
    """Return an entry of this account, folder and time.

    Args:
        number: Its number: one more than the last one that was read.
        kind: How the version gets the alias.
        alias: The alias.
        before: Version that loses it.
        version: Version that gets it.
        details: The other attributes of ``Entry`` that a caller knows.
    """
    from mlflow.tracking.context.registry import resolve_tags

    context = resolve_tags()  # the account by which the tracking server knows the user comes first
    defaults = {"evidence": None, "policy": None, "suite": None, "policy_changed": False, "why": ""}
    return Entry(
        number=number,
        kind=kind,
        alias=alias,
        before=before,
        version=version,
        who=context.get("mlflow.user", ""),
        when=datetime.now(UTC).isoformat(timespec="milliseconds"),
        commit=context.get(GIT_COMMIT, ""),
        nonce=uuid.uuid4().hex,
        **{**defaults, **details},
    )


def append(name: str, entry: Entry) -> bool:
    """Write an entry if nobody has written one with its number.

    Args:
        name: Registered model.
        entry: The entry.

    Returns:
        Whether this entry has the number now; ``False`` if another process was first.

    Raises:
        UsageError: The entry is too long for MLflow.
        StoreError: The store refuses or does not answer. Whether the entry was written is unknown if
            it stopped answering; the next promotion reads it.
    """
    value = _text(entry)
    if len(value) > LONGEST:
        raise UsageError(
            f"the reason is too long: the entry has {len(value):,} characters, the ledger takes {LONGEST:,}"
        )
    return _write(place.ensure(name), f"{entry.number:06d}", value) == value


def mark_done(name: str, number: int) -> None:
    """Note that the alias was moved as an entry says.

    From then on, an alias that points elsewhere was moved by hand, and is not half done.
    """
    _write(place.ensure(name), DONE.format(number), "yes")


def _write(run_id: str, key: str, value: str) -> str:
    """Write a parameter unless it exists; return what the store holds then."""
    refusal: StoreError | None = None
    try:
        with store_errors(f"ledger, run {run_id}: writing {key}"):
            client().log_param(run_id, key, value)
    except StoreError as error:  # another process was first, or the answer was lost: read it
        refusal = error
    with store_errors(f"ledger, run {run_id}: reading {key}"):
        held = client().get_run(run_id).data.params.get(key)
    if held is None:
        raise refusal or StoreError(f"ledger, run {run_id}: {key} was not stored")
    return str(held)


def _text(entry: Entry) -> str:
    record = {_KEYS.get(key, key): value for key, value in asdict(entry).items() if key != "number"}
    return json.dumps(
        {"schema_version": SCHEMA_VERSION, **record}, ensure_ascii=False, separators=(",", ":")
    )


def _parsed(value: str, number: int, where: str) -> Entry:
    try:
        record = json.loads(value)
        if record["schema_version"] != SCHEMA_VERSION:
            raise UsageError(
                f"{where}: entry {number} has schema_version {record['schema_version']!r}; this llmops"
                f" reads {SCHEMA_VERSION}",
                next_command="pip install --upgrade mlflow-llmops",
            )
        known = {
            key: record[_KEYS.get(key, key)] for key in Entry.__annotations__ if key != "number"
        }
        return Entry(number=number, **{**known, "kind": Kind(known["kind"])})
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{where}: entry {number} is damaged: {error!r}") from error


def _place(name: str, run: Any) -> str:
    return f"{name}: its ledger of promotions, run {run.info.run_id}"
