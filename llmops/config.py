"""The recipe: one YAML whose top-level keys are the stages.

Unknown keys are refused, every problem is reported at once with its line, and components are
names from closed lists, so that a recipe can execute no code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from llmops import digest
from llmops.errors import ConfigError, NotFoundError

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)

ModelName = Annotated[str, StringConstraints(pattern=rf"^{MODEL_NAME.pattern}$")]


def _free_alias(alias: str) -> str:
    if RESERVED_ALIAS.fullmatch(alias):
        raise ValueError("`latest` and v1, v2 … are taken by the registry itself")
    return alias


Alias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$"), AfterValidator(_free_alias)
]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Metric = Literal["token_f1", "rouge_l", "one_line", "likelihood"]


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
    test_fraction: Fraction = 0.2
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
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: Literal["all-linear"] | list[str] = "all-linear"


class Train(Section):
    """How the adapter is trained."""

    base: str
    """Base model: a name added with ``llmops base add``, a directory, or a hub id."""
    method: Literal["lora"] = "lora"
    lora: Lora = Lora()
    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps; without it training goes on for ``epochs``."""
    batch_size: int = Field(default=8, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    warmup_fraction: float = Field(default=0.03, ge=0, lt=1)
    max_length: int = Field(default=512, ge=16)
    """Tokens; longer examples are refused, not cut."""
    save_steps: int = Field(default=10, ge=1)
    """Steps between the checkpoints that a killed run resumes from."""


class Flavor(Section):
    """Where the version is registered."""

    model: ModelName
    """Registered model."""
    alias: Alias = "challenger"


class Compare(Section):
    """What the candidate is measured against, and how."""

    baseline: str = "champion"
    """An alias of the model (the bare base stands in while no version has it), ``base``, or a
    ``models:/`` URI."""
    scorers: tuple[Metric, ...] = Field(
        default=("token_f1", "rouge_l", "one_line", "likelihood"), min_length=1
    )
    max_tokens: int = Field(default=64, ge=1, le=4096)
    """Tokens an answer may have."""
    batch_size: int = Field(default=32, ge=1)
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95


class Requirement(Section):
    """One demand of the policy."""

    metric: Metric
    must: Literal["improve", "not_regress"] = "not_regress"
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
    min_prompts: int = Field(default=50, ge=2)
    """With fewer pairs the verdict is INCONCLUSIVE, whatever the numbers say."""
    on_pass: Alias = "champion"
    """Alias that moves to the candidate."""


class Serve(Section):
    """The endpoint that proves that the winner answers."""

    engine: Literal["local"] = "local"
    prompt: str | None = None
    """Question asked after promotion; the first held-out prompt if absent."""
    max_tokens: int = Field(default=64, ge=1, le=4096)


class Cost(Section):
    """What a machine costs, to estimate what the run cost."""

    usd_per_hour: float = Field(default=0.10, ge=0)


class Recipe(Section):
    """The whole loop in one file."""

    schema_version: Literal[1]
    name: ModelName
    seed: int = Field(default=7, ge=0, lt=2**31)
    data: Data
    train: Train
    flavor: Flavor
    compare: Compare = Compare()
    gate: Gate
    serve: Serve | None = None
    cost: Cost = Cost()

    @model_validator(mode="after")
    def _gate_reads_what_compare_writes(self) -> Recipe:
        missing = sorted({r.metric for r in self.gate.require} - set(self.compare.scorers))
        if missing:
            raise ValueError(
                f"gate.require names {', '.join(missing)}, which compare.scorers does not produce"
                f" (it produces {', '.join(self.compare.scorers)})"
            )
        return self

    def digest(self) -> str:
        """SHA-256 of the resolved recipe."""
        return digest.of_record(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """The resolved recipe as YAML, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads, overrides and checks a recipe.

    Args:
        path: A YAML file.
        overrides: ``key.sub=value`` pairs; values are YAML.

    Returns:
        The resolved recipe; relative data paths are made absolute.

    Raises:
        NotFoundError: No such file.
        ConfigError: All problems at once, each with its line.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such recipe", next_command="llmops recipes ls")
    check = f"llmops recipes show {path}"
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 (byte {error.start})"]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        raise ConfigError([f"{path}{line}: not valid YAML: {what}"]) from error
    if not isinstance(content, dict) or tree is None:
        raise ConfigError([f"{path}: a recipe is a mapping of stages, received {_kind(content)}"])
    if twice := _duplicate_keys(path, tree):
        raise ConfigError(twice, next_command=check)
    for override in overrides:
        _apply(content, override)
    _anchor_data_path(content, path.parent)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problems = {_problem(path, tree, details) for details in _causes(error)}
        raise ConfigError(sorted(problems, key=_by_line), next_command=check) from error


def check_model_name(name: str) -> str:
    """Returns a registered model's name if it is one.

    Raises:
        ConfigError: It holds characters that registry URIs cannot carry.
    """
    if not MODEL_NAME.fullmatch(name):
        raise ConfigError(
            [
                f"model name {name!r}: letters, digits, `.`, `_` and `-` only,"
                " beginning with a letter or digit, at most 128 characters"
            ]
        )
    return name


def _apply(content: dict[str, Any], override: str) -> None:
    """Sets one dotted key; the schema judges the result."""
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            [f"override {override!r}: expected key=value, such as train.epochs=2"],
        )
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError([f"override {override!r}: the value is not valid YAML"]) from error
    if isinstance(parsed, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", parsed):
        parsed = float(parsed)  # YAML 1.1 reads 3e-4 as text
    *parents, last = key.split(".")
    node = content
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError([f"override {override!r}: `{parent}` has no keys below it"])
        node = child
    node[last] = parsed


def _anchor_data_path(content: dict[str, Any], folder: Path) -> None:
    data = content.get("data")
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = str((folder / Path(data["path"]).expanduser()).resolve())


def _duplicate_keys(path: Path, node: yaml.Node) -> list[str]:
    """Keys that a mapping holds twice: YAML forbids them, but PyYAML keeps the last in silence."""
    if isinstance(node, yaml.SequenceNode):
        return [found for child in node.value for found in _duplicate_keys(path, child)]
    if not isinstance(node, yaml.MappingNode):
        return []
    found, seen = [], set()
    for key, value in node.value:
        if key.value in seen:
            found.append(f"{path}:{key.start_mark.line + 1}: {key.value}: this key is here twice")
        seen.add(key.value)
        found += _duplicate_keys(path, value)
    return found


def _causes(error: ValidationError) -> list[Mapping[str, Any]]:
    """Pydantic's problems without those that only follow from others."""
    problems: list[Mapping[str, Any]] = list(error.errors())

    def follows(problem: Mapping[str, Any]) -> bool:
        place = problem["loc"]
        deeper = (p for p in problems if len(p["loc"]) > len(place))
        return problem["type"] == "too_short" and any(
            p["loc"][: len(place)] == place for p in deeper
        )

    return [problem for problem in problems if not follows(problem)]


def _problem(path: Path, tree: yaml.Node, details: Mapping[str, Any]) -> str:
    """One line: file, line, key, what was received, what is allowed."""
    # pydantic adds the member of a union, such as list[str], to the place
    location = tuple(part for part in details["loc"] if not str(part).endswith("]"))
    key = ".".join(str(part) for part in location) or "recipe"
    line = _line_of(tree, location)
    message = str(details["msg"]).removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        allowed = ", ".join(_allowed_keys(location[:-1]))
        message = f"unknown key; allowed here: {allowed}"
    elif details["type"] == "missing":
        message = "required, but absent"
    elif isinstance(details.get("input"), (str, int, float, bool)):
        message = f"received {details['input']!r}; {message[0].lower()}{message[1:]}"
    return f"{path}:{line}: {key}: {message}"


def _line_of(node: yaml.Node, location: Sequence[str | int]) -> int:
    """Line (from 1) of a key, or of the deepest parent that is in the file."""
    line = int(node.start_mark.line) + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if part not in pairs:
                return line
            key, node = pairs[part]
            line = int(key.start_mark.line) + 1
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            node = node.value[part]
            line = int(node.start_mark.line) + 1
        else:
            return line
    return line


def _allowed_keys(location: Sequence[str | int]) -> list[str]:
    """Keys that the section at a location knows."""
    section: Any = Recipe
    for part in location:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part)
        section = next(iter(_sections(field.annotation)), None) if field else None
        if section is None:
            return []
    return sorted(section.model_fields)


def _sections(annotation: Any) -> list[type[Section]]:
    """The Section classes named in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [
        found for argument in getattr(annotation, "__args__", ()) for found in _sections(argument)
    ]


def _by_line(problem: str) -> tuple[int, str]:
    match = re.search(r":(\d+): ", problem)
    return (int(match.group(1)) if match else 0, problem)


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
