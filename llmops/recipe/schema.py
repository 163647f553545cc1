"""The schema of a recipe: one YAML file whose top-level keys are the stages.

Unknown keys are refused. Components are names from closed lists, so a recipe executes no code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from llmops.errors import UsageError
from llmops.files import digest
from llmops.recipe import engine_names, scorer_names
from llmops.records.names import ALIAS, MODEL_NAME, RESERVED_ALIAS

ModelName = Annotated[str, Field(pattern=rf"^{MODEL_NAME.pattern}$")]


def _free_alias(alias: str) -> str:
    if RESERVED_ALIAS.fullmatch(alias):
        raise ValueError("`latest` and v1, v2 … are reserved by the registry")
    return alias


Alias = Annotated[str, Field(pattern=rf"^{ALIAS.pattern}$"), AfterValidator(_free_alias)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _scorer(text: str) -> str:
    """Check that a scorer is known and runs no code: see ``llmops.recipe.scorer_names``."""
    try:
        scorer_names.parse(text, code=False)
    except UsageError as error:
        raise ValueError(error.message) from error
    return text


Scorer = Annotated[str, AfterValidator(_scorer)]


def _engine(name: str) -> str:
    """Check that an engine loads the files of a version: see ``llmops.recipe.engine_names``."""
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
    """A part of a recipe: immutable; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Data(Section):
    """Where examples come from and how they are split."""

    source: Literal["stdlib_docstrings", "file"] = "file"
    """``file``: your file; ``stdlib_docstrings``: signatures and docstrings of Python's library."""
    path: Path | None = None
    """CSV, JSON, JSON lines or Parquet file, relative to the recipe."""
    prompt: str = "prompt"
    """Column with the user's message."""
    completion: str = "completion"
    """Column with the expected answer."""
    group: str | None = None
    """Column that groups rows: rows with the same value stay in one split and form one cluster."""
    validation_fraction: Fraction = 0.14
    """Share of the examples used to measure the validation loss."""
    test_fraction: Fraction = 0.2
    """Share of the examples held out as the suite."""
    limit: int | None = Field(default=None, ge=10)
    """Use at most this many examples, for smoke runs."""

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
    """Scale of the adapter: its output is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability of dropping an input of the adapter during training."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """Layers that get an adapter: all linear layers, or those listed."""


class Train(Section):
    """How the adapter is trained."""

    base: str
    """Base model: a registered name (``llmops base add``), a directory, or a hub id."""
    method: Literal["lora"] = "lora"
    """Training method."""
    lora: Lora = Lora()
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the training split."""
    max_steps: int | None = Field(default=None, ge=1)
    """Number of optimizer steps; replaces ``epochs``."""
    batch_size: int = Field(default=8, ge=1)
    """Examples per forward pass."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Forward passes per optimizer step."""
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    """Peak learning rate of a cosine schedule."""
    warmup_fraction: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps over which the learning rate rises to its peak."""
    max_length: int = Field(default=512, ge=16)
    """Most tokens in an example; longer examples are refused, not cut."""
    save_steps: int = Field(default=10, ge=1)
    """Steps between two checkpoints; a killed run resumes from the last one."""


class Flavor(Section):
    """Where the version is registered."""

    model: ModelName
    """Registered model."""
    alias: Alias = "challenger"
    """Alias that moves to the new version when it is registered."""


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
    """Confidence level of the two-sided intervals; the gate's own follows from ``gate.alpha``."""

    @model_validator(mode="after")
    def _consistent(self) -> Compare:
        if self.repeats > 1 and self.temperature == 0:
            raise ValueError("repeats need a temperature above 0: greedy answers do not vary")
        try:
            scorer_names.parse_all(self.scorers, code=False)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self


DECIDING = ("method", "engine", "max_tokens", "temperature", "repeats")
"""Keys of ``compare`` that decide an answer or a verdict, besides baseline, scorers and confidence."""


class Requirement(Section):
    """One requirement of the policy.

    Example:
        from llmops.recipe import Requirement
        Requirement(metric="token_f1", must="not_regress", margin=0.05)
    """

    metric: str
    """Label of one of ``compare.scorers``."""
    must: Literal["improve", "not_regress"] = "not_regress"
    """What the interval must show."""
    margin: float = Field(default=0.0, ge=0, lt=1)
    """``not_regress``: the non-inferiority margin; ``improve``: the gain to exceed."""

    @model_validator(mode="after")
    def _possible(self) -> Requirement:
        if self.must == "not_regress" and self.margin == 0:
            raise ValueError("not_regress needs a margin above 0: no suite proves a loss of 0")
        return self


class Gate(Section):
    """The policy: the requirements for moving an alias to the candidate.

    Example:
        from llmops.recipe import Gate, Requirement
        Gate(require=(Requirement(metric="likelihood", must="improve"),), min_prompts=100)
    """

    require: tuple[Requirement, ...] = Field(min_length=1)
    """The requirements; all of them must hold."""
    min_prompts: int = Field(default=50, ge=2)
    """Fewest prompts; with fewer, the verdict is INCONCLUSIVE."""
    alpha: float = Field(default=0.05, gt=0, le=0.5)
    """Two-sided error probability of a candidate line: all pushes of a pull request together."""
    on_pass: Alias = "champion"
    """Alias that moves to the candidate."""


class Serve(Section):
    """The smoke test after promotion: a server is started and asked one question."""

    engine: Literal["local"] = "local"
    """What generates the answer."""
    prompt: str | None = None
    """Question to ask. Default: the first held-out prompt."""
    max_tokens: int = Field(default=64, ge=1, le=4096)
    """Most tokens in the answer."""


class Cost(Section):
    """The price of the machine, from which the cost of a run is estimated."""

    usd_per_hour: float = Field(default=0.10, ge=0)
    """Price of this machine in US dollars per hour."""


class Recipe(Section):
    """The whole loop in one file.

    Example:
        from llmops.recipe import Recipe
        Recipe.model_json_schema()  # such as for an editor's completion
    """

    schema_version: Literal[1]
    """Version of this format."""
    name: ModelName
    """Name of the MLflow experiment and, with a suffix, of the datasets."""
    seed: int = Field(default=7, ge=0, lt=2**31)
    """Seed of the splits, of the order of training and of the adapter's first weights."""
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
                f"flavor.alias {self.flavor.alias!r} is the alias of gate.on_pass or"
                " compare.baseline, which only the gate moves; choose another name"
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
        """Return the SHA-256 of the resolved recipe, as 64 hexadecimal digits."""
        return digest.of_record(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """Return the resolved recipe as YAML, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
