"""History: which version had an alias from when to when, by whom, on which evidence, and why."""

from __future__ import annotations

from dataclasses import dataclass

from llmops.records.promotion import Entry
from llmops.store import ledger


@dataclass(frozen=True)
class Reign:
    """The time during which a version had an alias, by the ledger.

    Attributes:
        entry: The promotion or rollback with which it began.
        until: Time of the next one, ISO 8601 in UTC; ``None`` if it lasts.
    """

    entry: Entry
    until: str | None


def history(name: str, *, alias: str | None = None) -> tuple[Reign, ...]:
    """Return who was champion from when to when, the latest last.

    Args:
        name: Registered model.
        alias: Only this alias; default: every alias that was ever promoted to.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: The ledger is damaged.
        StoreError: The ledger was deleted or renamed, or the store does not answer.

    Example:
        from llmops.gate import history

        for reign in history("bot", alias="champion"):
            print(reign.entry.version, reign.entry.when, reign.until, reign.entry.who)
    """
    entries = ledger.entries(name)
    chosen = [entry for entry in entries if alias in (None, entry.alias)]
    return tuple(Reign(entry, _until(entry, entries)) for entry in chosen)


def _until(entry: Entry, entries: tuple[Entry, ...]) -> str | None:
    later = (e.when for e in entries if e.alias == entry.alias and e.number > entry.number)
    return next(later, None)
