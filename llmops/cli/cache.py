"""``llmops cache``: what this machine keeps, and what it may forget."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import Any

import click

from llmops.cli.options import columns, emit, output_option


@click.group("cache")
def command() -> None:
    """List and clean what llmops keeps on this machine."""


@command.command("ls")
@output_option
def ls(output: str) -> None:
    """List base models, adapters, unfinished runs and leftovers in LLMOPS_HOME."""
    from humanize import naturalsize

    from llmops.files import home
    from llmops.models import inventory

    found = inventory.items()
    total = sum(item.size for item in found)
    rows = [
        (item.kind, item.name[:40], naturalsize(item.size), _age(item.used), _note(item))
        for item in found
    ]
    table = columns([("kind", "name", "size", "last used", ""), *rows]) if rows else "Nothing yet."
    record = {"home": str(home.home()), "bytes": total, "items": [_record(item) for item in found]}
    emit(output, f"{table}\n{naturalsize(total)} in {home.home()}", record)


@command.command("gc")
@click.option(
    "--unused-for",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Also remove bases, adapters, unfinished runs and results of comparisons that were not"
    " used for so long.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@output_option
def gc(unused_for: float | None, dry_run: bool, output: str) -> None:
    """Remove what killed processes left behind: files here, logged models in the store.

    Bases and adapters stay unless --unused-for says how old is too old: the registry has them.
    """
    from humanize import naturalsize

    from llmops.models import inventory

    results = 0 if unused_for is None else _prune(unused_for, dry_run=dry_run)
    leftovers = inventory.garbage()
    old = [] if unused_for is None else inventory.unused(unused_for)
    removed = [
        f"{left.folder}"
        + (f", and what its log left in {left.notes['tracking']}" if "token" in left.notes else "")
        for left in leftovers
    ] + [str(item.path) for item in old]
    freed = sum(item.size for item in old) + sum(
        item.size for item in inventory.items() if item.kind == "leftover"
    )
    if not dry_run:
        removed = inventory.collect_all(leftovers)
        for item in old:
            inventory.remove(item)
            removed.append(str(item.path))
    if results:
        removed.append(f"{results:,} results of comparisons")
    verb = "would remove" if dry_run else "removed"
    lines = [f"{verb} {what}" for what in removed] or ["nothing to remove"]
    record = {"dry_run": dry_run, "removed": removed, "bytes": freed}
    lines.append(f"{naturalsize(freed)} {'to free' if dry_run else 'freed'}")
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
        return "llmops cache gc removes it"
    entries = _entries(item)
    return "" if entries is None else f"{entries:,} answers and likelihoods"


def _entries(item: Any) -> int | None:
    """Results of comparisons that a file holds; ``None`` for anything else, or a damaged file."""
    if item.kind != "results":
        return None
    from llmops.compare.cache import ResultCache

    with suppress(sqlite3.Error), ResultCache(item.path) as cache:
        return cache.count()
    return None


def _prune(unused_for: float, *, dry_run: bool) -> int:
    """Removes results of comparisons that nobody used for so many days; returns how many."""
    from llmops.compare.cache import FILE, ResultCache
    from llmops.files import home

    if not (home.folder("cache") / FILE).is_file():
        return 0
    with ResultCache() as cache:
        return cache.count(unused_for) if dry_run else cache.prune(unused_for)


def _age(used: float) -> str:
    import humanize

    return humanize.naturaltime(time.time() - used)
