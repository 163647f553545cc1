"""The base class of the ``evaluate`` modules.

They import this module, not its class, because ``evaluate.load`` takes the first metric class among
a module's names.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any, ClassVar

import datasets
import evaluate

from llmops.compare.scorers.load import implementation
from llmops.recipe.built_in_scorers import BY_NAME

COLUMNS = {
    "predictions": "predictions (list of str): answers.",
    "references": "references (list of str): expected answers, in the same order.",
}


class MeanMetric(evaluate.Metric):  # type: ignore[misc]
    """Mean of a scorer over the examples.

    Attributes:
        scorer: Name of a built-in scorer of texts, and key of the result.
    """

    scorer: ClassVar[str]

    def _info(self) -> evaluate.MetricInfo:
        scorer, source = BY_NAME[self.scorer], vars(implementation(self.scorer))
        columns = list(COLUMNS) if scorer.needs_expected else ["predictions"]
        arguments = "\n    ".join(["Args:", *(COLUMNS[column] for column in columns)])
        return evaluate.MetricInfo(
            description=f"Mean over the examples of {scorer.name}: {scorer.meaning}.",
            citation=source.get("CITATION", ""),
            inputs_description=f"{arguments}\n\nReturns:\n    {scorer.name} (float): in [0, 1].\n",
            features=datasets.Features(dict.fromkeys(columns, datasets.Value("string"))),
            reference_urls=[source["URL"]] if "URL" in source else [],
        )

    def _compute(self, **columns: Any) -> dict[str, float]:
        score = implementation(self.scorer).score
        return {self.scorer: fmean(map(score, *columns.values()))}
