"""The table of built-in scorers; each is implemented by one file in ``llmops/compare/scorers``.

Recipes, the command line, the report, the ``evaluate`` modules and the docs all read this table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

FILE = "FILE"
"""The ``argument`` of a scorer that reads a file."""


class Expected(StrEnum):
    """What a scorer does with an example's expected answer."""

    NEEDED = "needed"
    UNUSED = "not read"
    OPTIONAL = "read if there is one"
    DECLARED = "if the code reads it"


class Cost(StrEnum):
    """What a scorer costs beyond comparing two texts."""

    TEXT = "none"
    FORWARD = "a forward pass for each prompt and side"
    REQUESTS = "two requests to the judge for each pair"
    CODE = "depends on the code"


def _nothing(argument: str) -> str:
    return ""


def _file_stem(argument: str) -> str:
    return PurePath(argument).stem


def _judge_name(argument: str) -> str:
    """Return the model of an address, or the name of a registered model."""
    parts = re.split("[#/:]", argument.removeprefix("models:/"))
    return parts[-1 if "#" in argument else 0]


def _module_and_key(argument: str) -> str:
    return "_".join(PurePath(part).stem for part in argument.split(":"))


def _function(argument: str) -> str:
    return argument.rpartition(":")[2]


@dataclass(frozen=True)
class BuiltIn:
    """One built-in scorer. Every score lies in [0, 1], and higher is better.

    Attributes:
        name: Its name in recipes and on the command line.
        meaning: What it measures, in Markdown, on one line.
        title: Its name in tables and reports; empty: ``name`` with spaces.
        expected: What it does with the expected answer.
        values: The scores that it can give; empty: any number in [0, 1].
        cost: What it costs beyond comparing two texts.
        argument: The placeholder of its argument, ``NAME:ARGUMENT``; empty: it takes none.
        detail: Returns the part of an argument that goes into the default label.
        module: Its module, relative to ``llmops.compare.scorers``; empty: the one called ``name``.
    """

    name: str
    meaning: str
    title: str = ""
    expected: Expected = Expected.NEEDED
    values: tuple[float, ...] = ()
    cost: Cost = Cost.TEXT
    argument: str = ""
    detail: Callable[[str], str] = _nothing
    module: str = ""

    @property
    def form(self) -> str:
        """Return how it is written: ``NAME`` or ``NAME:ARGUMENT``."""
        return f"{self.name}:{self.argument}" if self.argument else self.name

    @property
    def is_of_texts(self) -> bool:
        """Return whether it is a plain function of texts, and so an ``evaluate`` module too."""
        return self.cost is Cost.TEXT and not self.argument

    @property
    def needs_expected(self) -> bool:
        """Return whether every example must have an expected answer."""
        return self.expected is Expected.NEEDED

    @property
    def runs_code(self) -> bool:
        """Return whether it imports the module named by its argument; a recipe must not."""
        return self.cost is Cost.CODE


BUILT_IN = (
    BuiltIn(
        "exact",
        "1 if the answer equals the expected one after Unicode NFKC, case folding, collapsing white"
        " space and removing one full stop at the end, else 0",
        values=(0, 1),
    ),
    BuiltIn(
        "token_f1",
        "overlap of words with the expected answer, as in SQuAD: harmonic mean of precision and"
        " recall over lower-cased runs of letters and digits. Articles count. 1 if both are empty,"
        " 0 if only one is",
        title="token F1",
    ),
    BuiltIn(
        "rouge_l",
        "longest common subsequence of the words that `token_f1` compares: the F-measure of the"
        " `rouge_score` package, without stemming. 0 if either text is empty",
        title="ROUGE-L",
    ),
    BuiltIn(
        "chrf",
        "F-score of character n-grams up to 6, recall weighted twice as much as precision,"
        " white space ignored; the sentence score of `sacrebleu`, divided by 100. 1 if both are"
        " empty, 0 if only one is",
        title="chrF",
    ),
    BuiltIn(
        "one_line",
        "form, not content: 1 if the answer is one line of at most 120 characters, without a code"
        " fence, that ends in `.`, `!` or `?` (a closing quote or bracket may follow), else 0",
        expected=Expected.UNUSED,
        values=(0, 1),
    ),
    BuiltIn(
        "json_fields",
        "F1 of the leaves (texts, numbers, booleans, nulls, empty containers) that two JSON values"
        " have in the same place with the same value. `1` and `1.0` are equal, `1` and `true` are"
        " not. The expected answer must be JSON; an answer that is not JSON, or is inside a code"
        " fence, scores 0",
        module="json.fields",
    ),
    BuiltIn(
        "likelihood",
        "how likely the model finds the expected answer, as the chat template writes it, end of turn"
        " included: the geometric mean of the token probabilities",
        cost=Cost.FORWARD,
    ),
    BuiltIn(
        "regex",
        "1 if the pattern is found anywhere in the answer, else 0. Anchor it (`^…$`) to match the"
        " whole answer",
        expected=Expected.UNUSED,
        values=(0, 1),
        argument="PATTERN",
    ),
    BuiltIn(
        "extract",
        "1 if the last match of the pattern's one group in the answer equals its last match in the"
        " expected answer (the whole expected answer, if it has no match), compared as in `exact`,"
        " else 0."
        " `extract:#### *(-?[\\d.,]+)` reads the results of GSM8K",
        values=(0, 1),
        argument="PATTERN",
    ),
    BuiltIn(
        "json_schema",
        "1 if the whole answer is JSON that fits the schema, else 0. The draft is the one that"
        " `$schema` names, 2020-12 by default; `format` is not checked, and a `$ref` to another"
        " document is never fetched",
        expected=Expected.UNUSED,
        values=(0, 1),
        argument=FILE,
        detail=_file_stem,
        module="json.schema",
    ),
    BuiltIn(
        "judge",
        "1 if a [judge](../explanation/judge.md) prefers the answer to the other side's in both"
        " orders, 0 if it prefers the other one, 0.5 for a tie; the mean is the win rate. `MODEL` is"
        " `openai:URL#MODEL`, `models:/NAME/VERSION` or a base",
        expected=Expected.OPTIONAL,
        values=(0, 0.5, 1),
        cost=Cost.REQUESTS,
        argument="MODEL",
        detail=_judge_name,
        module="judge.load",
    ),
    BuiltIn(
        "evaluate",
        "a Hugging Face `evaluate` module, computed on each example alone",
        expected=Expected.DECLARED,
        cost=Cost.CODE,
        argument="NAME_OR_PATH[:KEY]",
        detail=_module_and_key,
        module="evaluate_module",
    ),
    BuiltIn(
        "mlflow",
        "a scorer of `mlflow.genai`",
        expected=Expected.DECLARED,
        cost=Cost.CODE,
        argument="MODULE:FUNCTION",
        detail=_function,
        module="mlflow_scorer",
    ),
)
"""All built-in scorers, in the order of help texts and docs."""

BY_NAME = {scorer.name: scorer for scorer in BUILT_IN}
"""The built-in scorers by name."""
