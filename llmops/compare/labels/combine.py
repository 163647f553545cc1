"""Human labels of a sample and a scorer on all prompts, combined to one estimate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmops.compare.labels.draw import Drawn, draw
from llmops.compare.labels.sheet import ONE, TIE, Label, read_sheet
from llmops.errors import DataError
from llmops.records import Comparison, HumanLabels, Row
from llmops.stats.ppi import powered_mean

SIZE = re.compile(r"\d+ of (\d+)", re.ASCII)
"""What the column ``row`` holds."""


def human_labels(comparison: Comparison, path: Path) -> HumanLabels:
    """Combine the labels of a file with the first metric over all prompts.

    Args:
        comparison: The comparison for which the file was drawn.
        path: Filled label file.

    Raises:
        DataError: The file is not complete (see ``read_sheet``), or its rows are not the sample
            that was drawn for these sides, this suite and these answers.
        UsageError: The comparison stopped early.
    """
    labels = read_sheet(path)
    drawn = draw(comparison, _size(path, labels))
    _require_drawn(path, labels, drawn)
    metric = comparison.metrics[0].metric
    preferred = [_preference(one, labels[one.key].preference) for one in drawn]
    chosen = {one.row.example.id for one in drawn}
    rest = [row for row in comparison.rows if not row.failed and row.example.id not in chosen]
    found = powered_mean(
        preferred,
        _gains([one.row for one in drawn], metric),
        _gains(rest, metric),
        clusters=([o.row.example.cluster for o in drawn], [row.example.cluster for row in rest]),
        confidence=comparison.metrics[0].test.confidence,
    )
    return HumanLabels(
        metric=metric,
        difference=found.difference,
        low=found.low,
        high=found.high,
        alone=found.human,
        alone_low=found.human_low,
        alone_high=found.human_high,
        labels=found.labels,
        prompts=found.labels + found.judged,
        effective=found.effective,
        correlation=found.correlation,
        confidence=comparison.metrics[0].test.confidence,
        wins=preferred.count(1),
        ties=preferred.count(0),
        losses=preferred.count(-1),
    )


def _size(path: Path, labels: Mapping[str, Label]) -> int:
    """Return the size of the sample that the file holds, as each of its rows states it."""
    stated = {SIZE.fullmatch(label.row) for label in labels.values()}
    sizes = {match[1] if match else "" for match in stated}
    if len(sizes) != 1 or "" in sizes:
        raise DataError(
            f"{path}: the column `row` must state the size of one sample, such as '17 of 100'",
            next_command="restore the column from the file that --label-sample wrote",
        )
    return int(sizes.pop())


def _require_drawn(path: Path, labels: Mapping[str, Label], drawn: Sequence[Drawn]) -> None:
    """Refuse rows that were not drawn, that are missing, or whose cells were mixed up."""
    known = {one.key: one for one in drawn}
    foreign = [label for key, label in labels.items() if key not in known]
    if len(foreign) == len(labels):
        raise DataError(
            f"{path}: no row was drawn for this comparison: suite, sides, their order"
            " or answers differ",
            next_command="rerun the comparison for which it was drawn, or draw again with"
            " --label-sample and another file",
        )
    if foreign:
        raise DataError(
            f"{foreign[0].where}: id {foreign[0].id!r} is not in the sample that was drawn"
            f" ({len(foreign)} such rows)",
            next_command="remove rows that were added; only drawn prompts may be labelled",
        )
    missing = [one for key, one in known.items() if key not in labels]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(drawn)} drawn prompts are missing, such as id"
            f" {missing[0].row.example.id!r}",
            next_command="restore these rows: a sample without them is no longer random",
        )
    for key, label in labels.items():
        if not _same_id(label.id, known[key].row.example.id):
            raise DataError(
                f"{label.where}: id {label.id!r} has the key of id {known[key].row.example.id!r}:"
                " columns were sorted or pasted apart",
                next_command="restore the file that --label-sample wrote",
            )


def _same_id(cell: str, own: str) -> bool:
    """Return whether a cell holds an id, or what a spreadsheet made of one that reads as a number."""
    if cell.removeprefix("'") == own.strip().removeprefix("'"):
        return True
    return _reads_as_number(cell) and _reads_as_number(own)


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _preference(drawn: Drawn, label: str) -> float:
    """Return 1 if the candidate is preferred, -1 for the baseline, 0 for a tie."""
    if label == TIE:
        return 0.0
    return 1.0 if (label == ONE) == drawn.swapped else -1.0


def _gains(rows: Sequence[Row], metric: str) -> list[float]:
    return [row.candidate_scores[metric] - row.baseline_scores[metric] for row in rows]
