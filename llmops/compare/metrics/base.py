"""What our ``evaluate`` modules share.

They name this module and not its class: ``evaluate.load`` takes the first metric class that it finds
among a module's names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any, ClassVar

import datasets
import evaluate

ANSWERS = "predictions (list of str): answers."
WANTED = "references (list of str): wanted answers, in the same order."


@dataclass(frozen=True)
class About:
    """A metric: mean over the examples of what ``score`` says of each.

    Attributes:
        name: Key of the result.
        score: Of a prediction, and of its reference if there are any; in [0, 1].
        has_references: Whether ``score`` reads references.
    """

    name: str
    score: Callable[..., float]
    description: str
    citation: str
    url: str
    has_references: bool = True


class MeanMetric(evaluate.Metric):  # type: ignore[misc]
    """Mean of a score of each example."""

    about: ClassVar[About]

    def _info(self) -> evaluate.MetricInfo:
        about = self.about
        columns = ["predictions", *(["references"] if about.has_references else [])]
        told = [ANSWERS, WANTED][: len(columns)]
        return evaluate.MetricInfo(
            description=about.description,
            citation=about.citation,
            inputs_description="\n    ".join(["Args:", *told])
            + f"\n\nReturns:\n    {about.name} (float): mean in [0, 1].\n",
            features=datasets.Features(dict.fromkeys(columns, datasets.Value("string"))),
            reference_urls=[about.url],
        )

    def _compute(self, **columns: Any) -> dict[str, float]:
        return {self.about.name: fmean(map(self.about.score, *columns.values()))}
