"""The section ``compare``: how a candidate is compared with its baseline."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, model_validator

from llmops.errors import UsageError
from llmops.recipe import scorer_names
from llmops.recipe.section import EngineName, Scorer, Section, allows_code

DECIDING = ("method", "engine", "max_tokens", "temperature", "repeats")
"""Keys of ``compare`` that decide an answer or a verdict, besides baseline, scorers and confidence."""


class Compare(Section):
    """How the candidate is compared with the baseline.

    Example:
        from llmops.recipe import Compare
        Compare(scorers=("exact", "chrf"), max_tokens=128)
    """

    baseline: str = "champion"
    """An alias (the bare base while no version has it), ``base``, or a ``models:/`` URI."""
    scorers: tuple[Scorer, ...] = Field(
        default=("token_f1", "rouge_l", "one_line", "likelihood"), min_length=1
    )
    """Scorers to compute and test; see [metrics](metrics.md)."""
    method: Literal["spend", "hybrid", "fixed", "obf", "anytime"] = "spend"
    """``fixed`` asks every prompt; the others stop once the gate's requirements are decided; see
    [operating characteristics](../explanation/operating-characteristics.md)."""
    engine: EngineName = "local"
    """What generates: this process, or a vLLM server that is started and stopped; see
    [compare with vLLM](../how-to/compare-with-vllm.md)."""
    max_tokens: int = Field(default=64, ge=1, le=4096)
    """Most tokens in an answer."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; 0 is greedy."""
    repeats: int = Field(default=1, ge=1, le=100)
    """Answers to each prompt; they form one cluster. More than 1 needs a temperature above 0."""
    batch_size: int = Field(default=128, ge=1)
    """Answers generated at once, over all sides."""
    traces: bool = True
    """Whether to write a trace for each answer, so that MLflow shows both sides row by row."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Confidence level of the two-sided intervals of ``llmops compare``; a gate reads ``gate.alpha``."""

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Compare:
        if self.repeats > 1 and self.temperature == 0:
            raise ValueError("repeats need a temperature above 0: greedy answers do not vary")
        try:
            scorer_names.parse_all(self.scorers, code=allows_code(info))
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self
