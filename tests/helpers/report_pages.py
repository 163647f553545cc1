"""A report as a tree, so that tests ask for elements and not for pieces of text."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = ("meta", "br", "hr", "input")


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


def headings(page: ElementTree.Element, kind: str = "h2") -> list[str]:
    return [text_of(heading) for heading in page.iter(kind)]


def section(page: ElementTree.Element, heading: str) -> ElementTree.Element:
    """What stands between the first such heading and the next of its kind, as one element."""
    found, kind = ElementTree.Element("section"), None
    for parent in page.iter():
        for child in parent:
            if child.tag in ("h2", "h3") and kind is None and text_of(child) == heading:
                kind = child.tag
            elif kind is not None and child.tag in ("h2", kind):
                return found
            elif kind is not None:
                found.append(child)
        if kind is not None:
            return found
    raise AssertionError(f"no section {heading!r}")


def panes(page: ElementTree.Element) -> dict[str, ElementTree.Element]:
    """Metric of the switch → what it shows."""
    found = next(each for each in page.iter("div") if each.get("class") == "metrics")
    names = [text_of(label) for label in found.iter("label")]
    return dict(zip(names, found.findall("section"), strict=True))


def table(within: ElementTree.Element) -> list[list[str]]:
    """The cells of the first table, header included."""
    return [
        [text_of(cell) for cell in row if cell.tag in ("td", "th")]
        for row in within.find(".//table").iter("tr")
    ]
