"""A version's lineage as lines for a terminal, and as a block of a description in MLflow.

A description consists of a head, which is the evidence card once there is one, and the lineage block
below it. The block begins with a fixed heading, so that either part can be replaced alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from llmops.records.lineage import Adapter, Dataset, Lineage, Run
from llmops.report import markdown
from llmops.report.wording import clean

HEADING = "### Lineage"
UNKNOWN = "not recorded"
WIDTH = 100
"""Columns of the terminal table."""
LABEL = 10
"""Columns of its labels."""
DIGITS = 12
"""Digits shown of a digest."""
PART = WIDTH - LABEL
CELL = 400
"""Most characters of a cell in a description."""
MOST_DATASETS = 4

_HEADING = re.compile(rf"^{HEADING}\s*$", re.MULTILINE)
_TABLE = ["", "| | What it is made of | |", "|---|---|---|"]


@dataclass(frozen=True)
class Fact:
    """One part of a version's lineage, such as its base or its data.

    Attributes:
        what: Label, at most nine characters.
        parts: Details in plain text, not yet safe to show.
        here: Details that hold only on this machine or at this time; left out of descriptions.
        links: Link text → page in MLflow; ``None`` for a page that does not exist.
    """

    what: str
    parts: list[str]
    here: list[str] = field(default_factory=list)
    links: Mapping[str, str | None] = field(default_factory=dict)


def summary(lineage: Lineage) -> str:
    """Return one plain line, such as ``LoRA r16 on smollm2-135m-instruct``."""
    name = clean(lineage.base.name, 60)
    if lineage.adapter is None:
        return f"{'Base' if lineage.kind == 'base' else 'Full'} model {name}"
    rank = lineage.adapter.rank
    return f"LoRA{'' if rank is None else f' r{rank}'} on {name}"


def lineage_table(lineage: Lineage) -> str:
    """Return the lineage for a terminal: at most 100 columns, no control characters.

    Args:
        lineage: Lineage from ``llmops.models.lineage``.

    Example:
        from llmops.models import lineage
        from llmops.report import lineage_table

        print(lineage_table(lineage("models:/support@champion")))
    """
    aliases = " ".join(f"@{clean(alias, 32)}" for alias in lineage.aliases)
    lines = [f"{clean(lineage.uri, 160)} {aliases}".rstrip(), summary(lineage), ""]
    for fact in (*_facts(lineage), *_judged(lineage), _packages(lineage)):
        label = fact.what
        for line in _wrapped([*fact.parts, *fact.here] or [UNKNOWN]):
            lines.append(f"{label:<{LABEL}}{line}")
            label = ""
    return "\n".join([*lines, *_pages(lineage)])


def with_lineage(description: str, lineage: Lineage) -> str:
    """Return a description with a new lineage block; the text above the block stays."""
    head, _ = _split(description)
    return _composed(head or f"{markdown.escape(summary(lineage))}\n---", _block(lineage))


def with_card(description: str, card: str) -> str:
    """Return a description with a new evidence card; its lineage block stays."""
    return _composed(card, _split(description)[1])


def with_note(description: str, note: str) -> str:
    """Return a description with a note below its first paragraph, unless the note is there."""
    head, block = _split(description)
    if note in head:
        return description
    first, _, rest = head.partition("\n\n")
    return _composed("\n\n".join(part for part in (first, note, rest) if part), block)


def _split(description: str) -> tuple[str, str]:
    heading = _HEADING.search(description)
    end = heading.start() if heading else len(description)
    return description[:end].strip(), description[end:].strip()


def _composed(head: str, block: str) -> str:
    """Return both within MLflow's limit: the block loses its last rows before the head is cut."""
    head = head.strip()
    if len(head) >= markdown.LIMIT:
        head = head[: markdown.LIMIT - 2].rstrip() + "…"
    lines = block.splitlines()
    while lines and len(head) + len("\n".join(lines)) + 3 > markdown.LIMIT:
        lines.pop()
    if len(lines) <= 1 + len(_TABLE):
        lines = []
    return "\n\n".join(part for part in (head, "\n".join(lines)) if part) + "\n"


def _block(lineage: Lineage) -> str:
    rows = [
        markdown.row([f"**{fact.what}**", _cell(fact.parts), _links(fact.links)])
        for fact in _facts(lineage)
    ]
    return "\n".join([HEADING, *_TABLE, *rows])


def _cell(parts: list[str]) -> str:
    text = " · ".join(clean(part, PART) for part in parts) or UNKNOWN
    return markdown.escape(clean(text, CELL))


def _links(links: Mapping[str, str | None]) -> str:
    """Return links relative to the page, because each reader may reach the server differently."""
    relative = {
        text: "#" + markdown.address(url).partition("#")[2] for text, url in links.items() if url
    }
    return " · ".join(
        f"[{text.replace(' ', '&nbsp;')}]({url})"
        for text, url in relative.items()
        if len(url) <= markdown.LINK_LIMIT
    )


def _facts(lineage: Lineage) -> Iterator[Fact]:
    """Yield the parts of a version; for a base, without data, recipe and code."""
    base, run = lineage.base, lineage.run
    yield Fact(
        "model" if lineage.adapter is None else "base",
        [base.name, f"origin {base.origin or UNKNOWN}", f"digest {base.digest[:DIGITS]}"],
        [*_registered(lineage), f"files {'' if base.cached else 'not '}on this machine"],
        {"base": base.link} if lineage.adapter else {"logged model": lineage.model_link},
    )
    if lineage.adapter is not None:
        links = {"logged model": lineage.model_link}
        yield Fact("adapter", _adapter(lineage.adapter), links=links)
    if lineage.kind == "base" and run is None:
        return
    yield Fact("data", _data(run.datasets if run else (), lineage.data_digest))
    recipe = [f"digest {lineage.recipe_digest[:DIGITS]}"] if lineage.recipe_digest else []
    yield Fact("recipe", recipe, links={"recipe.yaml": run.recipe if run else None})
    yield Fact("code", [part for part in _code(run) if part])
    yield _trained(run)


def _registered(lineage: Lineage) -> list[str]:
    """Return where the base is registered; nothing for a full model, which is its own base."""
    if lineage.base.uri is not None:
        return [lineage.base.uri]
    return [] if lineage.adapter is None else ["no base with these bytes is registered here"]


def _adapter(adapter: Adapter) -> list[str]:
    targets = adapter.targets
    parts = [
        f"rank {_known(adapter.rank)}",
        f"alpha {_known(adapter.alpha)}",
        "modules chosen by a pattern" if targets is None else f"{targets} target modules",
        f"size {UNKNOWN}" if adapter.size is None else _bytes(adapter.size),
        f"digest {adapter.digest[:DIGITS]}",
    ]
    reason = adapter.unservable
    return [*parts, "vLLM serves it" if reason is None else f"vLLM does not serve it: {reason}"]


def _data(datasets: tuple[Dataset, ...], digest: str | None) -> list[str]:
    parts = [
        f"{clean(data.name, 40)} ({clean(data.context or UNKNOWN, 16)}) {data.digest[:DIGITS]}"
        for data in datasets[:MOST_DATASETS]
    ]
    if hidden := len(datasets[MOST_DATASETS:]):
        parts.append(f"{hidden} more")
    return [*parts, f"together {digest[:DIGITS]}"] if digest else parts


def _code(run: Run | None) -> list[str]:
    if run is None:
        return []
    commit = f"commit {run.commit}" if run.commit else f"commit {UNKNOWN}"
    return [commit, run.program or ""]


def _trained(run: Run | None) -> Fact:
    if run is None:
        return Fact("run", [])
    if run.link is None:
        return Fact("run", [run.id, "not in this store"])
    params = [f"{clean(name, 30)} {clean(value, 30)}" for name, value in run.params.items()]
    metrics = [f"{clean(name, 30)} {_number(value)}" for name, value in run.metrics.items()]
    here = [f"{run.name or run.id} ({run.status})"]
    return Fact("run", [*_moment(run.started), *params, *metrics], here, {"training run": run.link})


def _judged(lineage: Lineage) -> list[Fact]:
    evidence = lineage.evidence
    if evidence is None:
        return [] if lineage.kind == "base" else [Fact("evidence", [])]
    parts = [
        evidence.verdict,
        evidence.versus and f"against {evidence.versus}",
        evidence.delta,
        evidence.digest and f"digest {evidence.digest[:DIGITS]}",
        *_moment(evidence.when),
        evidence.other_bytes and "ABOUT OTHER BYTES than the version has now",
    ]
    return [Fact("evidence", [part for part in parts if part])]


def _packages(lineage: Lineage) -> Fact:
    packages = lineage.requirements.items()
    return Fact("packages", [f"{name} {version or UNKNOWN}" for name, version in packages])


def _pages(lineage: Lineage) -> list[str]:
    pages = {
        "Version": lineage.link,
        "Run": lineage.run and lineage.run.link,
        "Evidence": lineage.evidence and lineage.evidence.link,
    }
    lines = [f"{text}: {clean(url, 500)}" for text, url in pages.items() if url]
    return ["", *lines] if lines else []


def _wrapped(parts: list[str]) -> Iterator[str]:
    """Yield lines of parts, each line as full as the width allows."""
    line = ""
    for part in (clean(part, PART) for part in parts):
        longer = f"{line} · {part}" if line else part
        if len(longer) > WIDTH - LABEL:
            yield line
            longer = part
        line = longer
    yield line


def _known(value: object) -> str:
    return UNKNOWN if value is None else f"{value}"


def _moment(time: str | None) -> list[str]:
    return [f"{time[:16].replace('T', ' ')} UTC"] if time else []


def _number(value: float | None) -> str:
    if value is None:
        return "not finite"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"
