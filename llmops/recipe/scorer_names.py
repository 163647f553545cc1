"""How scorers are named: ``[LABEL=]KIND[:ARGUMENT]``, and which names a recipe may hold.

A recipe executes no code, so it may name the built-in scorers and those that take data (a
pattern, a schema). Kinds that import a module are for the command line and Python alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from llmops.errors import UsageError

PLAIN = ("exact", "token_f1", "rouge_l", "chrf", "one_line", "json_fields", "likelihood")
"""Scorers without an argument."""
DATA_KINDS = {"regex": "PATTERN", "extract": "PATTERN", "json_schema": "FILE"}
"""Scorers whose argument is data, and what it is."""
MODEL_KINDS = {"judge": "MODEL"}
"""Scorers whose argument is a model: ``openai:URL#MODEL`` or ``models:/NAME/VERSION``."""
CODE_KINDS = {"evaluate": "NAME_OR_PATH[:KEY]", "mlflow": "MODULE:FUNCTION"}
"""Scorers whose argument is code."""
RESERVED = (*PLAIN, "nll")
"""Names in MLflow that no label may take."""

_LABELLED = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class ScorerName:
    """One scorer as the user wrote it.

    Attributes:
        label: Its name in tables, tags and MLflow: letters, digits and ``_``.
        kind: One of ``PLAIN``, ``DATA_KINDS``, ``MODEL_KINDS`` or ``CODE_KINDS``.
        argument: What follows the kind's colon, empty for a plain scorer.
    """

    label: str
    kind: str
    argument: str = ""

    @property
    def spec(self) -> str:
        """``KIND[:ARGUMENT]``."""
        return f"{self.kind}:{self.argument}" if self.argument else self.kind


def parse(text: str, *, code: bool = True) -> ScorerName:
    """Reads one name.

    Args:
        text: Such as ``token_f1``, ``regex:^yes`` or ``dated=regex:[0-9]{4}``.
        code: Whether kinds that import a module are allowed; a recipe says no.

    Raises:
        UsageError: Unknown, without its argument, not allowed here, or the label is taken.
    """
    labelled = _LABELLED.fullmatch(text)
    label, spec = labelled.groups() if labelled else ("", text)
    kind, colon, argument = spec.partition(":")
    wanted = {**DATA_KINDS, **MODEL_KINDS, **CODE_KINDS}.get(kind)
    if kind not in PLAIN and wanted is None:
        raise UsageError(f"scorer {text!r}: unknown; allowed: {', '.join(allowed(code=code))}")
    if kind in CODE_KINDS and not code:
        raise UsageError(
            f"scorer {text!r}: a recipe executes no code; allowed: {', '.join(allowed(code=False))}",
            next_command=f"llmops compare BASELINE CANDIDATE --suite FILE --scorer {text}",
        )
    if kind in PLAIN and colon:
        raise UsageError(f"scorer {text!r}: {kind} takes no argument")
    if kind not in PLAIN and not argument:
        raise UsageError(f"scorer {text!r}: needs its argument, {kind}:{wanted}")
    if label in RESERVED:
        raise UsageError(f"scorer {text!r}: the label {label!r} is taken; choose another")
    return ScorerName(label or _default_label(kind, argument), kind, argument)


def parse_all(texts: Iterable[str], *, code: bool = True) -> tuple[ScorerName, ...]:
    """Reads several names, whose labels must differ.

    Raises:
        UsageError: See ``parse``; or two scorers have one label.
    """
    names = tuple(parse(text, code=code) for text in texts)
    labels = [name.label for name in names]
    for name in names:
        if labels.count(name.label) > 1:
            raise UsageError(
                f"two scorers are called {name.label!r}: {name.spec!r} is one of them",
                next_command=f"give it a label: LABEL={name.spec}",
            )
    return names


def allowed(*, code: bool = True) -> tuple[str, ...]:
    """The forms that a name may have."""
    kinds = {**DATA_KINDS, **MODEL_KINDS, **(CODE_KINDS if code else {})}
    return (*PLAIN, *(f"{kind}:{argument}" for kind, argument in kinds.items()))


def _default_label(kind: str, argument: str) -> str:
    """A label that MLflow accepts in a metric's name; patterns are no part of it."""
    if kind == "json_schema":
        detail = PurePath(argument).stem
    elif kind == "evaluate":
        detail = "_".join(PurePath(part).stem for part in argument.split(":"))
    elif kind == "judge":
        detail = re.split("[#/:]", argument.removeprefix("models:/"))[-1 if "#" in argument else 0]
    elif kind == "mlflow":
        detail = argument.rpartition(":")[2]
    else:
        detail = ""
    return "_".join(part for part in (kind, re.sub(r"\W+", "_", detail, flags=re.ASCII)) if part)
