"""A row whose text is delivered while it is generated, and that its caller may cancel."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from llmops.engine.local.decode.row import Row
from llmops.engine.local.decode.stops import HeldBack
from llmops.engine.local.decode.streaming import StableText
from llmops.engine.requests import Prompt
from llmops.records import Answer

Deliver = Callable[[str | Answer | BaseException], None]
"""Takes pieces of text, then the ``Answer`` or an exception; called by the thread that generates, so
it must return at once."""


class Ticket(Row):
    """A row that delivers its text and its answer.

    Args:
        prompt: The prompt to continue.
        deliver: Takes the text and the answer.
        pieces: Whether to deliver pieces of text before the answer.
        top: See ``Row``.

    Attributes:
        cancelled: Whether its caller has left.
        number: Its place in the order of arrival.
        group: Rows of different groups are not decoded together.
    """

    number: int
    group: Hashable

    def __init__(
        self, prompt: Prompt, deliver: Deliver, *, pieces: bool = True, top: int | None = None
    ) -> None:
        super().__init__(prompt, top=top)
        self.cancelled = False
        self._deliver, self._held = deliver, HeldBack(prompt.sampling.stop)
        self._decoder = StableText(prompt.chat_format) if pieces else None
        self._ends = prompt.chat_format.end_ids

    def cancel(self) -> None:
        """End the generation at its next token; any thread may call this."""
        self.cancelled = True

    def append(self, token: int) -> None:
        """Append a token, and deliver the text that became certain."""
        if not self.runs:
            return
        super().append(token)
        if self._decoder is not None and token not in self._ends:
            self._say(self._held.add(self._decoder.add(token)))
        if self.reason is not None:
            answer = self.answer()
            if self._decoder is not None:
                self._say(self._held.rest(answer.text))
            self._deliver(answer)

    @property
    def runs(self) -> bool:
        """Whether it wants more tokens."""
        return self.reason is None and not self.cancelled

    def fail(self, error: BaseException) -> None:
        """End the row without an answer, and deliver the reason."""
        if self.runs:
            self.cancelled = True
            self._deliver(error)

    def _say(self, text: str) -> None:
        if text:
            self._deliver(text)
