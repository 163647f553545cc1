"""Find stop strings in a text that arrives piece by piece, in time linear in the text.

Source: D. E. Knuth, J. H. Morris, V. R. Pratt, Fast Pattern Matching in Strings, 1977. Its table is
extended only as far as a match proceeds, so a stop string of 60,000 characters costs nothing before
the text repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Searches a growing text for stop strings.

    Args:
        stops: Non-empty strings.

    Attributes:
        found: Place in the text where the earliest of the first complete stop strings begins;
            ``None`` as long as there is none.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._searches = [_Search(stop) for stop in stops]
        self._length = 0
        self.found: int | None = None

    @property
    def held(self) -> int:
        """Length of the longest end of the text that a stop string begins with."""
        return max((search.matched for search in self._searches), default=0)

    def add(self, piece: str) -> None:
        """Search another piece of the text, unless a stop string was found."""
        if self.found is None:
            begins = [search.add(piece, self._length) for search in self._searches]
            self.found = min((begin for begin in begins if begin is not None), default=None)
        self._length += len(piece)

    def would_find(self, piece: str) -> bool:
        """Return whether a piece would complete a stop string; the search stays where it is."""
        if self.found is not None:
            return True
        states = [search.matched for search in self._searches]
        try:
            return any(search.add(piece, 0) is not None for search in self._searches)
        finally:
            for search, matched in zip(self._searches, states, strict=True):
                search.matched = matched


class HeldBack:
    """Text that may turn out to be a stop string, which an answer does not contain.

    Args:
        stops: The stop strings.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = StopStrings(stops)
        self._held, self._sent = "", 0

    def add(self, piece: str) -> str:
        """Return the text that no stop string can include, after another piece."""
        if self._stops.found is not None:
            return ""
        self._held += piece
        self._stops.add(piece)
        found = self._stops.found
        safe = len(self._held) - self._stops.held if found is None else found - self._sent
        certain, self._held = self._held[:safe], self._held[safe:]
        self._sent += len(certain)
        return certain

    def rest(self, text: str) -> str:
        """Return what is left of the answer's whole text."""
        return text[self._sent :]


class _Search:
    """The search for one string.

    Attributes:
        matched: Length of the longest end of the text that the string begins with.
    """

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._borders = [0]  # by length less one: the longest proper end that is also a beginning
        self.matched = 0

    def add(self, piece: str, begin: int) -> int | None:
        """Search a piece that begins at a place of the text; return where the string begins."""
        wanted, matched = self._wanted, self.matched
        for place, character in enumerate(piece, begin + 1):
            while matched and wanted[matched] != character:
                matched = self._borders[matched - 1]
            matched += wanted[matched] == character
            if matched == len(wanted):
                self.matched = 0
                return place - matched
            if matched > len(self._borders):
                self._extend()
        self.matched = matched
        return None

    def _extend(self) -> None:
        """Compute the border of the next longer beginning."""
        wanted, end = self._wanted, len(self._borders)
        border = self._borders[-1]
        while border and wanted[border] != wanted[end]:
            border = self._borders[border - 1]
        self._borders.append(border + (wanted[border] == wanted[end]))
