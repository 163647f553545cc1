"""The policy: what a version must show before an alias moves to it, in a file or in a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from llmops.errors import UsageError
from llmops.files import digest
from llmops.recipe import scorer_names
from llmops.recipe.compare import Compare
from llmops.recipe.section import Alias, ModelName, Section, allows_code

AT_LEAST = "at_least"
"""The ``must`` of a floor: it reads the candidate's own mean, not the difference."""


def _tag(given: Any) -> Any:
    """Return a slice with texts, as a suite has them; a YAML number such as 2024 becomes one."""
    if not isinstance(given, dict):
        return given
    if len(given) != 1:
        raise ValueError(f"a slice is one tag and its value, such as {{topic: billing}}: {given}")
    ((key, value),) = given.items()
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"the value of a slice is text; write it in quotes: {value!r}")
    return {str(key): str(value)}


Slice = Annotated[dict[str, str], BeforeValidator(_tag)]


class Requirement(Section):
    """One requirement of the policy.

    Example:
        from llmops.recipe import Requirement
        Requirement(metric="token_f1", must="not_regress", margin=0.05)
        Requirement(metric="one_line", must="at_least", value=0.9)
    """

    metric: str
    """Label of one of ``compare.scorers``."""
    must: Literal["improve", "not_regress", "at_least"] = "not_regress"
    """What the interval must show: ``improve`` and ``not_regress`` read the difference from the
    baseline, ``at_least`` (a floor) the candidate's own mean."""
    margin: float = Field(default=0.0, ge=0, lt=1)
    """``not_regress``: the non-inferiority margin; ``improve``: the gain to exceed."""
    value: float | None = Field(default=None, gt=0, lt=1)
    """``at_least``: the floor."""
    slice: Slice | None = None
    """A protected slice: the requirement reads only rows with this tag, such as
    ``{topic: billing}`` for a suite's column ``slice.topic``."""

    @model_validator(mode="after")
    def _possible(self) -> Requirement:
        if self.must == AT_LEAST and self.value is None:
            raise ValueError("at_least needs `value`, a floor between 0 and 1")
        if self.must == AT_LEAST and self.margin:
            raise ValueError("`margin` belongs to improve and not_regress; a floor has `value`")
        if self.must != AT_LEAST and self.value is not None:
            raise ValueError(f"`value` belongs to at_least, not to {self.must}")
        if self.must == "not_regress" and self.margin == 0:
            raise ValueError("not_regress needs a margin above 0: no suite proves a loss of 0")
        return self

    @property
    def tag(self) -> tuple[str, str] | None:
        """The slice as (key, value); ``None`` for the whole suite."""
        return next(iter(self.slice.items())) if self.slice else None


class Budgets(Section):
    """Limits on what the candidate's answers cost: measured means, without an interval."""

    mean_tokens: float | None = Field(default=None, gt=0)
    """Most tokens of an answer, on average."""
    mean_seconds: float | None = Field(default=None, gt=0)
    """Most seconds of an answer, on average; needs answers that were timed one by one."""
    usd_per_1000_answers: float | None = Field(default=None, gt=0)
    """Highest price of 1,000 answers in US dollars: their seconds times ``usd_per_hour``."""
    usd_per_hour: float | None = Field(default=None, ge=0)
    """Price of the machine that answers, in US dollars per hour; in a recipe, by default
    ``cost.usd_per_hour``."""

    @model_validator(mode="after")
    def _priced(self) -> Budgets:
        if self.usd_per_1000_answers is not None and self.usd_per_hour is None:
            raise ValueError("usd_per_1000_answers needs `usd_per_hour`, the price of the machine")
        return self

    @property
    def limits(self) -> Mapping[str, float]:
        """Name of each budget → its limit, for those that are set."""
        limits = self.model_dump(exclude={"usd_per_hour"}, exclude_none=True)
        return {name: float(limit) for name, limit in limits.items()}


class Gate(Section):
    """The policy: the requirements for moving an alias to the candidate.

    Example:
        from llmops.recipe import Gate, Requirement
        Gate(require=(Requirement(metric="likelihood", must="improve"),), min_prompts=100)
    """

    require: tuple[Requirement, ...] = Field(min_length=1)
    """The requirements; all of them must hold. The first is the primary one."""
    budgets: Budgets = Budgets()
    """What the candidate's answers may cost."""
    alpha: float = Field(default=0.05, gt=0, le=0.5)
    """Two-sided error of a candidate: the intervals have confidence 1 - alpha. In a recipe, by
    default 1 - ``compare.confidence``."""
    min_prompts: int = Field(default=50, ge=2)
    """Fewest prompts; with fewer, the verdict is INCONCLUSIVE, whatever ``on_inconclusive`` says."""
    on_inconclusive: Literal["fail", "pass"] = "fail"
    """Whether a candidate passes if nothing speaks against it, but the prompts do not decide."""
    first_version: Literal["floors", "allow"] = "floors"
    """While no version has the baseline's alias: ``floors`` decides by floors and budgets alone (by
    the difference from the bare base if the policy has no floor), ``allow`` lets anything pass."""
    judge_controls: bool = True
    """Whether a judge must pass its controls before its verdicts count."""
    on_pass: Alias = "champion"
    """Alias that moves to the candidate."""

    @property
    def questions(self) -> tuple[Requirement, ...]:
        """The requirements on the difference over the whole suite; a comparison may stop on them."""
        return tuple(r for r in self.require if r.must != AT_LEAST and r.slice is None)

    @property
    def needs_every_prompt(self) -> bool:
        """Whether something else than those questions is to be decided, so that none ends it early."""
        return len(self.questions) < len(self.require)

    @property
    def floors(self) -> tuple[Requirement, ...]:
        """The requirements on the candidate's own mean."""
        return tuple(r for r in self.require if r.must == AT_LEAST)

    def floors_alone(self, *, first: bool) -> bool:
        """Return whether floors and budgets decide alone.

        Args:
            first: Whether there is no champion to compare with.
        """
        return first and self.first_version == "floors" and bool(self.floors)


class Policy(Section):
    """A policy file: what judging a version needs, without any recipe.

    Example:
        from llmops.recipe import Policy
        Policy.model_validate(
            {
                "schema_version": 1,
                "model": "bot",
                "suite": "held-out.jsonl",
                "gate": {"require": [{"metric": "token_f1", "must": "improve"}]},
            }
        )
    """

    schema_version: Literal[1]
    """Version of this format."""
    model: ModelName
    """Registered model; the candidate is by default its version with the alias ``challenger``."""
    suite: Path | None = None
    """Held-out prompts, relative to the file; ``--suite`` replaces it."""
    compare: Compare = Compare()
    """How the candidate is compared; the scorers are by default those that the gate names."""
    gate: Gate

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, given: Any) -> Any:
        """Fill in the scorers that the gate names, and the error that the intervals imply."""
        return with_error(_with_scorers(given))

    @model_validator(mode="after")
    def _gate_reads_what_compare_writes(self, info: ValidationInfo) -> Policy:
        require_scorers(self.gate, self.compare, code=allows_code(info))
        return self

    def settings(self, *, alpha: float | None = None, first: bool = False) -> Compare:
        """Return how the sides are compared: with intervals of confidence 1 - alpha.

        Args:
            alpha: Two-sided error; default: that of the gate.
            first: Whether there is no champion. Where no difference decides, every prompt is asked.
        """
        level = self.gate.alpha if alpha is None else alpha
        changes: dict[str, Any] = {"confidence": 1 - level}
        if not self.gate.questions or self.gate.floors_alone(first=first):
            changes["method"] = "fixed"
        return self.compare.model_copy(update=changes)

    def digest(self) -> str:
        """Return the SHA-256 of the resolved policy, as 64 hexadecimal digits."""
        return digest.of_record(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """Return the resolved policy as YAML, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def with_error(given: Any) -> Any:
    """Return a file's content with ``gate.alpha``; by default what ``compare.confidence`` implies.

    Args:
        given: The content, valid or not.
    """
    if not isinstance(given, dict):
        return given
    gate, compare = given.get("gate"), given.get("compare")
    confidence = compare.get("confidence") if isinstance(compare, dict) else None
    if not isinstance(gate, dict) or "alpha" in gate or not isinstance(confidence, float):
        return given
    return {**given, "gate": {**gate, "alpha": round(1 - confidence, 12)}}


def _with_scorers(given: Any) -> Any:
    """Return a policy's content with the scorers that the gate names, if it names none itself."""
    if not isinstance(given, dict):
        return given
    gate, compare = given.get("gate"), given.get("compare", {})
    require = gate.get("require") if isinstance(gate, dict) else None
    if not isinstance(require, (list, tuple)) or not isinstance(compare, dict):
        return given
    metrics = [each.get("metric") for each in require if isinstance(each, dict)]
    plain = [name for name in dict.fromkeys(metrics) if name in scorer_names.PLAIN]
    if "scorers" in compare or not plain:
        return given
    return {**given, "compare": {**compare, "scorers": plain}}


def require_scorers(gate: Gate, compare: Compare, *, code: bool) -> None:
    """Refuse a requirement on a metric that no scorer computes.

    Raises:
        ValueError: As said; with the scorers that are computed.
    """
    try:
        names = scorer_names.parse_all(compare.scorers, code=code)
    except UsageError as error:
        raise ValueError(str(error)) from error
    labels = [name.label for name in names]
    missing = sorted({r.metric for r in gate.require} - set(labels))
    if missing:
        raise ValueError(
            f"gate.require names {', '.join(missing)}, which compare.scorers does not produce"
            f" (it produces {', '.join(labels)}){_meant(missing[0], labels)}"
        )


def _meant(metric: str, labels: list[str]) -> str:
    """Return the closest label or scorer as a question; empty if none is close."""
    near = scorer_names.closest(metric, (*labels, *scorer_names.PLAIN))
    return f"; did you mean {near}?" if near else ""
