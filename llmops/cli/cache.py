"""``llmops cache``: list and clean what llmops keeps on this machine."""

from __future__ import annotations

import time
from typing import Any

import click

from llmops.cli.options import columns, emit, output_option


@click.group("cache")
def command() -> None:
    """List and clean what llmops keeps on this machine."""


@command.command("ls", short_help="List what is in LLMOPS_HOME.")
@output_option
def ls(output: str) -> None:
    """List base models, adapters, unfinished runs, cached answers and leftovers in LLMOPS_HOME."""
    from humanize import naturalsize

    from llmops.files import home
    from llmops.models import inventory

    items = inventory.items()
    total = sum(item.size for item in items)
    rows = [
        (item.kind, item.name[:40], naturalsize(item.size), _age(item.used), _note(item))
        for item in items
    ]
    table = columns([("kind", "name", "size", "last used", ""), *rows]) if rows else "Empty."
    record = {"home": str(home.home()), "bytes": total, "items": [_record(item) for item in items]}
    emit(output, f"{table}\n{naturalsize(total)} in {home.home()}", record)


@command.command("gc", short_help="Remove what killed processes left behind.")
@click.option(
    "--unused-for",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Also remove base models, adapters, unfinished runs and cached answers that were not used"
    " for DAYS days.",
)
@click.option("--dry-run", is_flag=True, help="List what would be removed, and remove nothing.")
@output_option
def gc(unused_for: float | None, dry_run: bool, output: str) -> None:
    """Remove what killed processes left behind: files here, logged models and open runs in the store.

    An open run is kept and gets the status KILLED.

    Base models and adapters are kept. --unused-for removes old ones too; they are fetched from the
    registry when they are needed again.
    """
    from humanize import naturalsize

    from llmops.models import inventory

    results = 0 if unused_for is None else _prune(unused_for, dry_run=dry_run)
    leftovers = inventory.garbage()
    old = [] if unused_for is None else inventory.unused(unused_for)
    removed = [inventory.described(left) for left in leftovers] + [str(item.path) for item in old]
    freed = sum(item.size for item in old) + sum(
        item.size for item in inventory.items() if item.kind == "leftover"
    )
    if not dry_run:
        removed = inventory.collect_all(leftovers)
        for item in old:
            inventory.remove(item)
            removed.append(str(item.path))
    if results:
        removed.append(f"{results:,} cached answers and likelihoods")
    verb = "would remove" if dry_run else "removed"
    lines = [f"{verb} {what}" for what in removed] or ["nothing to remove"]
    record = {"dry_run": dry_run, "removed": removed, "bytes": freed}
    lines.append(f"{naturalsize(freed)} {'would be freed' if dry_run else 'freed'}")
    emit(output, "\n".join(lines), record)


def _record(item: Any) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "name": item.name,
        "path": str(item.path),
        "bytes": item.size,
        "used": item.used,
        "entries": _entries(item),
    }


def _note(item: Any) -> str:
    if item.kind == "leftover":
        return "removed by llmops cache gc"
    if item.kind != "results":
        return ""
    entries = _entries(item)
    return "cannot be read" if entries is None else f"{entries:,} answers and likelihoods"


def _entries(item: Any) -> int | None:
    """Return how many answers and likelihoods a cache holds.

    ``None`` for anything that is not a cache, and for one that cannot be read.
    """
    if item.kind != "results":
        return None
    from llmops.compare.cache import entries

    return entries(item.path)


def _prune(unused_for: float, *, dry_run: bool) -> int:
    """Remove cached answers not used for ``unused_for`` days; return their number."""
    from llmops.compare.cache import FILE, ResultCache
    from llmops.files import home

    if not (home.folder("cache") / FILE).is_file():
        return 0
    with ResultCache() as cache:
        return cache.count(unused_for) if dry_run else cache.prune(unused_for)


def _age(used: float) -> str:
    import humanize

    return humanize.naturaltime(time.time() - used)
