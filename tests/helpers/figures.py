"""Figures of a run, as a section of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def write_section(page: Path, title: str, text: str, rows: Mapping[str, tuple[str, str]]) -> None:
    """Write a section with a table; a section of that title is replaced.

    Args:
        page: Markdown file.
        title: Of the section.
        text: Before the table, such as date, machine and versions.
        rows: What was measured, with the figure and its bar.
    """
    lines = [f"| {what} | {figure} | {bar} |" for what, (figure, bar) in rows.items()]
    table = "\n".join(["| What | Figure | Bar |", "|---|---|---|", *lines])
    section = f"## {title}\n\n{text}\n\n{table}\n"
    old = page.read_text(encoding="utf-8")
    others = re.sub(rf"(?ms)^## {re.escape(title)}\n.*?(?=^## |\Z)", "", old).rstrip("\n")
    page.write_text(f"{others}\n\n{section}", encoding="utf-8")
