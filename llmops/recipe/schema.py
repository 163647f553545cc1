"""The recipe: one YAML whose top-level keys are the stages.

Unknown keys are refused, every problem is reported at once with its line, and components are
names from closed lists, so that a recipe can execute no code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from llmops.errors import UsageError
from llmops.files import digest
from llmops.recipe import engine_names, scorer_names
from llmops.records.names import ALIAS, MODEL_NAME, RESERVED_ALIAS

ModelName = Annotated[str, StringConstraints(pattern=rf"^{MODEL_NAME.pattern}$")]


def _free_alias(alias: str) -> str:
    if RESERVED_ALIAS.fullmatch(alias):
        raise ValueError("`latest` and v1, v2 … are taken by the registry itself")
    return alias


Alias = Annotated[
    str, StringConstraints(pattern=rf"^{ALIAS.pattern}$"), AfterValidator(_free_alias)
]
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _scorer(text: str) -> str:
    """A scorer that runs no code: see ``llmops.recipe.scorer_names``."""
    try:
        scorer_names.parse(text, code=False)
    except UsageError as error:
        raise ValueError(error.message) from error
    return text


Scorer = Annotated[str, AfterValidator(_scorer)]


def _engine(name: str) -> str:
    """An engine that loads the files of a version: see ``llmops.recipe.engine_names``."""
    try:
        engine_names.check(name)
    except UsageError as error:
        raise ValueError(error.message) from error
    return name


EngineName = Annotated[
    str,
    AfterValidator(_engine),
    WithJsonSchema({"type": "string", "enum": engine_names.selectable()}),
]


class Section(BaseModel):
    """A part of a recipe: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Data(Section):
    """Where examples come from and how they are split."""

    source: Literal["stdlib_docstrings", "file"] = "file"
    """``stdlib_docstrings``: signatures and docstrings of Python's own library; ``file``: yours."""
    path: Path | None = None
    """CSV, JSON, JSON lines or Parquet; relative to the recipe."""
    prompt: str = "prompt"
    """Column that holds the user's message."""
    completion: str = "completion"
    """Column that holds the wanted answer."""
    group: str | None = None
    """Column whose equal values stay in one split and count as one cluster."""
    validation_fraction: Fraction = 0.14
    """Share of the examples that measures the validation loss."""
    test_fraction: Fraction = 0.2
    """Share of the examples that is held out as the suite."""
    limit: int | None = Field(default=None, ge=10)
    """Use only so many examples (smoke runs)."""

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        if self.source == "file" and self.path is None:
            raise ValueError("source `file` needs `path`")
        if self.source != "file" and self.path is not None:
            raise ValueError(f"`path` belongs to source `file`, not `{self.source}`")
        if self.validation_fraction + self.test_fraction >= 0.9:
            raise ValueError("validation_fraction + test_fraction must stay below 0.9")
        return self


class Lora(Section):
    """Size of the adapter."""

    rank: int = Field(default=16, ge=1, le=512)
    """Rank of the adapter's matrices."""
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the adapter's inputs that is dropped while training."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """Layers that get an adapter: all linear ones, or those named."""


class Train(Section):
    """How the adapter is trained."""

    base: str
    """Base model: a name added with ``llmops base add``, a directory, or a hub id."""
    method: Literal["lora"] = "lora"
    """How the base is adapted."""
    lora: Lora = Lora()
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the training split."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps; without it training goes on for ``epochs``."""
    batch_size: int = Field(default=8, ge=1)
    """Examples in one forward pass."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Forward passes in one optimizer step."""
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    """Peak of a cosine schedule."""
    warmup_fraction: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises to its peak."""
    max_length: int = Field(default=512, ge=16)
    """Tokens; longer examples are refused, not cut."""
    save_steps: int = Field(default=10, ge=1)
    """Steps between the checkpoints that a killed run resumes from."""


class Flavor(Section):
    """Where the version is registered."""

    model: ModelName
    """Registered model."""
    alias: Alias = "challenger"
    """Alias that the new version gets when it is registered."""


class Compare(Section):
    """What the candidate is measured against, and how."""

    baseline: str = "champion"
    """An alias of the model (the bare base stands in while no version has it), ``base``, or a
    ``models:/`` URI."""
    scorers: tuple[Scorer, ...] = Field(
        default=("token_f1", "rouge_l", "one_line", "likelihood"), min_length=1
    )
    """Scores that are computed and tested; see [metrics](metrics.md)."""
    method: Literal["hybrid", "fixed", "obf", "anytime"] = "hybrid"
    """``fixed`` asks every prompt; the others stop once the gate's demands are decided; see
    [operating characteristics](../explanation/operating-characteristics.md)."""
    engine: EngineName = "local"
    """What generates: this process, or a vLLM server that is started and stopped; see
    [compare with vLLM](../how-to/compare-with-vllm.md)."""
    max_tokens: int = Field(default=64, ge=1, le=4096)
    """Tokens an answer may have."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """0 is greedy: the likeliest token each time."""
    repeats: int = Field(default=1, ge=1, le=100)
    """Answers to each prompt, at a temperature above 0; those to one prompt are one cluster."""
    batch_size: int = Field(default=128, ge=1)
    """Answers that are generated at once, those of all sides together."""
    traces: bool = True
    """Whether every answer becomes a trace in MLflow, which shows two sides row by row."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Of the two-sided intervals, on which the gate decides."""

    @model_validator(mode="after")
    def _repeats_differ(self) -> Compare:
        if self.repeats > 1 and self.temperature == 0:
            raise ValueError("repeats need a temperature above 0: greedy answers are all the same")
        return self

    @model_validator(mode="after")
    def _labels_differ(self) -> Compare:
        try:
            scorer_names.parse_all(self.scorers, code=False)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self


class Requirement(Section):
    """One demand of the policy."""

    metric: str
    """Label of a scorer of ``compare.scorers``."""
    must: Literal["improve", "not_regress"] = "not_regress"
    """What the interval has to show."""
    margin: float = Field(default=0.0, ge=0, lt=1)
    """``not_regress``: a loss up to this is tolerated; ``improve``: the gain must exceed it."""

    @model_validator(mode="after")
    def _possible(self) -> Requirement:
        if self.must == "not_regress" and self.margin == 0:
            raise ValueError(
                "not_regress needs a margin above 0: no finite suite proves a loss of exactly 0"
            )
        return self


class Gate(Section):
    """The policy: what must hold before an alias moves."""

    require: tuple[Requirement, ...] = Field(min_length=1)
    """The demands; all of them must hold."""
    min_prompts: int = Field(default=50, ge=2)
    """With fewer pairs the verdict is INCONCLUSIVE, whatever the numbers say."""
    on_pass: Alias = "champion"
    """Alias that moves to the candidate."""


class Serve(Section):
    """The endpoint that proves that the winner answers."""

    engine: Literal["local"] = "local"
    """What generates."""
    prompt: str | None = None
    """Question asked after promotion; the first held-out prompt if absent."""
    max_tokens: int = Field(default=64, ge=1, le=4096)
    """Tokens the answer may have."""


class Cost(Section):
    """What a machine costs, to estimate what the run cost."""

    usd_per_hour: float = Field(default=0.10, ge=0)
    """US dollars for an hour of this machine."""


class Recipe(Section):
    """The whole loop in one file."""

    schema_version: Literal[1]
    """Version of this format."""
    name: ModelName
    """Name of the MLflow experiment and, with a suffix, of the datasets."""
    seed: int = Field(default=7, ge=0, lt=2**31)
    """Decides the splits, the order of training and the adapter's first weights."""
    data: Data
    train: Train
    flavor: Flavor
    compare: Compare = Compare()
    gate: Gate
    serve: Serve | None = None
    cost: Cost = Cost()

    @model_validator(mode="after")
    def _only_the_gate_promotes(self) -> Recipe:
        guarded = {self.gate.on_pass.lower(), self.compare.baseline.lower()}
        if self.flavor.alias.lower() in guarded:
            raise ValueError(
                f"flavor.alias {self.flavor.alias!r} is what the gate guards and compares with"
                " (gate.on_pass, compare.baseline); choose another, such as challenger"
            )
        return self

    @model_validator(mode="after")
    def _gate_reads_what_compare_writes(self) -> Recipe:
        labels = [name.label for name in scorer_names.parse_all(self.compare.scorers, code=False)]
        missing = sorted({r.metric for r in self.gate.require} - set(labels))
        if missing:
            raise ValueError(
                f"gate.require names {', '.join(missing)}, which compare.scorers does not produce"
                f" (it produces {', '.join(labels)})"
            )
        return self

    def digest(self) -> str:
        """SHA-256 of the resolved recipe."""
        return digest.of_record(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """The resolved recipe as YAML, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
