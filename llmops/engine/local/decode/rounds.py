"""One round after the other: waiting rows begin, and every running row gets its next tokens.

Groups of rows that cannot be decoded together take turns. A row that memory does not suffice for
waits again, and goes on with the token after its last one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from llmops.engine.local.decode.admission import Limits, next_rows, padded_size, size_class
from llmops.engine.local.decode.batch import LIVE_SHARE
from llmops.engine.local.decode.memory import free, ran_out, too_large
from llmops.engine.local.decode.prefix import can_split
from llmops.engine.local.decode.running import RunningRows
from llmops.engine.local.decode.ticket import Ticket
from llmops.engine.local.engine import LocalEngine
from llmops.engine.local.mixed_adapters import Mixture, UnmixableError
from llmops.engine.requests import Prompt
from llmops.errors import UsageError

TURN = 16
"""Tokens of a group's turn while other groups run."""
BETWEEN = 4
"""Tokens of the running rows between two parts of a long prompt."""
PATIENCE = 32
"""Tokens of a turn of a model without a KV cache, which then computes all earlier ones anew."""


class Rounds:
    """The waiting and the running rows of one engine; only one thread may use it.

    Args:
        engine: The engine.
        limits: What is computed together at most.
    """

    def __init__(self, engine: LocalEngine, limits: Limits) -> None:
        self._engine, self._limits = engine, limits
        self._splits = can_split(engine.model)
        self._waiting: list[Ticket] = []
        self._groups: dict[Hashable, RunningRows[Ticket]] = {}
        self._filling: RunningRows[Ticket] | None = None

    @property
    def rows(self) -> list[Ticket]:
        """All rows, those that run before those that wait."""
        running = [row for batch in self._batches() for row in batch.rows]
        return [*running, *self._waiting]

    @property
    def waiting(self) -> int:
        """Number of rows that have not begun."""
        return len(self._waiting)

    def queue(self, ticket: Ticket) -> None:
        """Let a row wait behind all others."""
        if not self._engine.has(ticket.prompt.adapter):
            ticket.fail(UsageError("this version is no longer loaded"))
            return
        scheduler = self._engine.scheduler
        alone = ticket.number if scheduler.crosses(ticket.prompt) else None
        ticket.group = scheduler.group(ticket.prompt), size_class(ticket.length), alone
        self._waiting.append(ticket)

    def compute(self, wanted: Callable[[], bool]) -> None:
        """Compute one round: new rows begin, and each group gets a turn.

        Args:
            wanted: Returns whether a turn must end at its next token.
        """
        self._fill()
        self._begin()
        for group in list(self._groups):
            if group in self._groups:
                self._turn(group, wanted)

    def drop(self) -> None:
        """Drop the rows that ended or whose callers have left."""
        self._waiting = [ticket for ticket in self._waiting if ticket.runs]
        self._keep(lambda row: row.runs)

    def _batches(self) -> list[RunningRows[Ticket]]:
        return [*self._groups.values(), *([self._filling] if self._filling else [])]

    def _keep(self, kept: Callable[[Ticket], bool]) -> None:
        """Reduce the running rows."""

        def keeps(batch: RunningRows[Ticket]) -> bool:
            indices = [i for i, row in enumerate(batch.rows) if kept(row)]
            return self._tried(batch.rows, lambda _: batch.keep(indices)) and bool(batch.rows)

        self._groups = {key: batch for key, batch in self._groups.items() if keeps(batch)}
        if self._filling is not None and not keeps(self._filling):
            self._filling = None

    def _fill(self) -> None:
        """Compute another part of a long prompt; its last part begins its answer."""
        batch, most = self._filling, self._limits.prompt
        if batch is None:
            return
        if not self._tried(batch.rows, lambda mixture: batch.fill(mixture, most)):
            self._filling = None
        elif batch.uncomputed <= most:
            self._filling = None
            self._join(batch)

    def _begin(self) -> None:
        """Let waiting rows begin: several short prompts, or one long one by parts."""
        rows = self._next()
        if not rows:
            return
        self._waiting = [ticket for ticket in self._waiting if ticket not in rows]
        rows.sort(key=lambda row: row.prompt.adapter or "")

        def start(_: Mixture | None) -> None:
            batch = RunningRows(self._engine.model, rows, self._engine.device)
            started.append(batch)

        started: list[RunningRows[Ticket]] = []
        if not self._tried(rows, start):
            return
        (batch,) = started
        if batch.resumes and self._is_long(rows[0]):
            self._filling = batch
        else:
            self._join(batch)

    def _next(self) -> list[Ticket]:
        """Return the rows that may begin now; one long prompt is computed at a time."""
        waiting = self._waiting
        if self._filling is not None:
            waiting = [ticket for ticket in waiting if not self._is_long(ticket)]
        return next_rows(waiting, self._groups, self._limits)

    def _is_long(self, ticket: Ticket) -> bool:
        return self._splits and ticket.length > self._limits.prompt

    def _join(self, batch: RunningRows[Ticket]) -> None:
        """Compute the first token of new rows, and add them to their group."""
        group = batch.rows[0].group
        begun = self._tried(batch.rows, lambda mixture: batch.extend(mixture, lambda _: True))
        if not begun or not batch.rows:
            return
        running = self._groups.setdefault(group, batch)
        if running is not batch:
            both = [*running.rows, *batch.rows]
            if not self._tried(both, lambda _: running.join(batch)):
                del self._groups[group]

    def _turn(self, group: Hashable, wanted: Callable[[], bool]) -> None:
        """Compute the next tokens of a group, until something else is to be done."""
        batch = self._groups[group]
        steps = 0

        def ends(running: int) -> bool:
            nonlocal steps
            steps += 1
            return wanted() or self._ends(batch, running, steps)

        computed = self._tried(batch.rows, lambda mixture: batch.extend(mixture, ends))
        if not computed or not batch.rows:
            del self._groups[group]
        self._shed()

    def _ends(self, batch: RunningRows[Ticket], running: int, steps: int) -> bool:
        """Return whether a turn ends, because rows can begin, can be dropped, or others wait."""
        if not batch.resumes and steps < PATIENCE:
            return not any(row.runs for row in batch.rows)
        return (
            running <= LIVE_SHARE * len(batch.rows)
            or any(row.cancelled and row.reason is None for row in batch.rows)
            or (len(self._groups) > 1 and steps >= TURN)
            or (self._filling is not None and steps >= BETWEEN)
            or padded_size(self._groups, steps) > self._limits.tokens
            or bool(self._next())
        )

    def _shed(self) -> None:
        """Let the youngest rows wait again while the running ones need too much memory."""
        while padded_size(self._groups) > self._limits.tokens:
            rows = [row for batch in self._groups.values() for row in batch.rows]
            if len(rows) < 2:
                return
            youngest = max(rows, key=_number)
            self._keep(lambda row, last=youngest: row is not last)  # type: ignore[misc]
            self._again([youngest])

    def _again(self, rows: Sequence[Ticket]) -> None:
        """Let rows wait before all others."""
        before, self._waiting = self._waiting, []
        for row in sorted(rows, key=_number):
            if row.runs:
                row.rewind()
                self.queue(row)
        self._waiting += before

    def _tried(self, rows: Sequence[Ticket], work: Callable[[Mixture | None], None]) -> bool:
        """Compute something for rows; return whether it succeeded.

        Otherwise the rows have failed or wait again.
        """
        rows, size = list(rows), padded_size(self._groups)

        def compute(_: list[Prompt], mixture: Mixture | None) -> list[None]:
            work(mixture)
            return []

        try:
            self._engine.scheduler.in_turn([row.prompt for row in rows], compute)
            return True
        except UnmixableError:
            self._engine.scheduler.separate()
        except Exception as error:
            reason: Exception = too_large(rows[0].prompt) if ran_out(error) else error
            if not ran_out(error) or not self._can_shrink(rows):
                _fail(rows, reason)
                return False
            self._limits.tokens = min(self._limits.tokens, size or self._limits.tokens) // 2
        free()
        self._again(rows)
        return False

    def _can_shrink(self, rows: Sequence[Ticket]) -> bool:
        """Return whether fewer rows could be computed together than these and the running ones."""
        others = [row for batch in self._batches() for row in batch.rows if row not in rows]
        return len(rows) > 1 or bool(others)


def _fail(rows: Sequence[Ticket], error: Exception) -> None:
    for row in rows:
        row.fail(error)


def _number(row: Ticket) -> int:
    return row.number
