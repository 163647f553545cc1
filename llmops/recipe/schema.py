"""The schema of a recipe: one YAML file whose top-level keys are the stages.

Unknown keys are refused. Components are names from closed lists, so a recipe executes no code.
"""

from __future__ import annotations

from typing import Any, Literal

import yaml
from pydantic import Field, ValidationInfo, model_validator

from llmops.files import digest
from llmops.recipe.compare import DECIDING, Compare
from llmops.recipe.data import Data, OwnTest
from llmops.recipe.policy import Budgets, Gate, Policy, Requirement, require_scorers, with_error
from llmops.recipe.section import Alias, ModelName, Section, allows_code

__all__ = [
    "DECIDING",
    "Budgets",
    "Compare",
    "Cost",
    "Data",
    "Flavor",
    "Gate",
    "Lora",
    "OwnTest",
    "Policy",
    "Recipe",
    "Requirement",
    "Section",
    "Serve",
    "Train",
]


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
    """Most tokens in an example; longer examples are never cut."""
    too_long: Literal["refuse", "drop"] = "refuse"
    """What becomes of training with longer examples: it is refused, or they are left out and counted."""
    save_steps: int = Field(default=10, ge=1)
    """Steps between two checkpoints; a killed run resumes from the last one."""


class Flavor(Section):
    """Where the version is registered."""

    model: ModelName
    """Registered model."""
    alias: Alias = "challenger"
    """Alias that moves to the new version when it is registered."""


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

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, given: Any) -> Any:
        """Fill in the gate's error and the price of the machine, which other sections imply."""
        return _with_price(with_error(given))

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
    def _gate_reads_what_compare_writes(self, info: ValidationInfo) -> Recipe:
        require_scorers(self.gate, self.compare, code=allows_code(info))
        return self

    def policy(self) -> Policy:
        """Return what judging a version needs; without the recipe, it is a policy file."""
        return Policy.model_construct(
            schema_version=1,
            model=self.flavor.model,
            suite=None,
            compare=self.compare,
            gate=self.gate,
        )

    def digest(self) -> str:
        """Return the SHA-256 of the resolved recipe, as 64 hexadecimal digits."""
        return digest.of_record(self.model_dump(mode="json"))

    def figures_digest(self) -> str:
        """Return the SHA-256 of what decides the figures of a run: seed, data, train and compare.

        A key at its default does not count, so that a new key leaves the figures of a recipe valid.
        """
        parts = {"seed", "data", "train", "compare"}
        return digest.of_record(self.model_dump(mode="json", include=parts, exclude_defaults=True))

    def to_yaml(self) -> str:
        """Return the resolved recipe as YAML, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _with_price(given: Any) -> Any:
    """Return a recipe's content with the price of the machine in the budgets that need it."""
    if not isinstance(given, dict):
        return given
    gate = given.get("gate")
    budgets = gate.get("budgets") if isinstance(gate, dict) else None
    if not isinstance(gate, dict) or not isinstance(budgets, dict):
        return given
    if "usd_per_1000_answers" not in budgets:
        return given
    cost = given.get("cost", {})
    price = cost.get("usd_per_hour", Cost().usd_per_hour) if isinstance(cost, dict) else None
    return {**given, "gate": {**gate, "budgets": {"usd_per_hour": price, **budgets}}}
