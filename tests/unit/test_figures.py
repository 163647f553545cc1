from __future__ import annotations

from pathlib import Path

from figures import write_section


def test_a_section_is_added_and_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n## One\n\ntext\n\n## Two\n\nmore\n")
    write_section(page, "One", "On a card.", {"tokens/s": ("7", "8")})
    write_section(page, "One", "On a card.", {"tokens/s": ("9", "8")})
    section = (
        "## One\n\nOn a card.\n\n| What | Figure | Bar |\n|---|---|---|\n| tokens/s | 9 | 8 |\n"
    )
    assert page.read_text() == f"# Page\n\n## Two\n\nmore\n\n{section}"
