"""A report as a tree, so that tests ask for elements and not for pieces of text."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = ("meta", "br", "hr")


class _Builder(HTMLParser):
    """Builds the tree; raises where an element is closed that is not the open one."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = ElementTree.TreeBuilder()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.tree.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.tree.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.tree.data(data)


def parse(page: str) -> ElementTree.Element:
    """The ``html`` element."""
    builder = _Builder()
    builder.feed(page)
    builder.close()
    assert not builder.open
    return builder.tree.close()


def text_of(element: ElementTree.Element | None) -> str:
    """All text of an element, its space as a browser would show it."""
    assert element is not None
    return " ".join("".join(element.itertext()).split())


def headings(page: ElementTree.Element) -> list[str]:
    return [text_of(heading) for heading in page.iter("h2")]


def section(page: ElementTree.Element, heading: str) -> ElementTree.Element:
    """What stands between one heading and the next, as one element."""
    found, inside = ElementTree.Element("section"), False
    for child in page.find("body"):
        if child.tag == "h2":
            inside = text_of(child) == heading
        elif inside:
            found.append(child)
    assert len(found), f"no section {heading!r}"
    return found


def table(within: ElementTree.Element) -> list[list[str]]:
    """The cells of the first table, header included."""
    return [
        [text_of(cell) for cell in row if cell.tag in ("td", "th")]
        for row in within.find(".//table").iter("tr")
    ]
