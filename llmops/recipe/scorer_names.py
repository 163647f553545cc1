"""Names of scorers, ``[LABEL=]KIND[:ARGUMENT]``, and which of them a recipe may contain.

A recipe executes no code, so it may name every built-in scorer except those that import a module;
these can be named on the command line and in Python, or where the command allows code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from llmops.errors import UsageError
from llmops.recipe.built_in_scorers import BUILT_IN, BY_NAME, FILE
from llmops.records.urls import check_no_credentials

PLAIN = tuple(scorer.name for scorer in BUILT_IN if not scorer.argument)
"""Scorers without an argument."""
JUDGE = "judge"
"""The scorer whose argument may be a URL."""
RESERVED = (*PLAIN, "nll")
"""Names of metrics in MLflow that no label may have."""

_LABELLED = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class ScorerName:
    """One scorer as the user wrote it.

    Attributes:
        label: Its name in tables, tags and MLflow: letters, digits and ``_``.
        kind: The name of a built-in scorer.
        argument: The text after the colon; empty for a scorer without an argument.
    """

    label: str
    kind: str
    argument: str = ""

    @property
    def spec(self) -> str:
        """Return ``KIND[:ARGUMENT]``."""
        return f"{self.kind}:{self.argument}" if self.argument else self.kind


def parse(text: str, *, code: bool = True) -> ScorerName:
    """Read one name.

    Args:
        text: A name such as ``token_f1``, ``regex:^yes`` or ``dated=regex:[0-9]{4}``.
        code: Whether scorers that import a module are allowed; in a recipe they are not.

    Raises:
        UsageError: The scorer is unknown, lacks its argument or is not allowed here, its label is
            reserved, or its URL contains credentials.
    """
    label, spec = _split(text)
    kind, colon, argument = spec.partition(":")
    if kind == JUDGE:
        check_no_credentials(argument)
    scorer = BY_NAME.get(kind)
    if scorer is None:
        near = closest(kind, BY_NAME)
        meant = f"; did you mean {near}?" if near else ""
        raise UsageError(
            f"scorer {text!r}: unknown; allowed: {', '.join(allowed(code=code))}{meant}"
        )
    if scorer.runs_code and not code:
        raise UsageError(
            f"scorer {text!r}: a recipe executes no code; allowed: {', '.join(allowed(code=False))};"
            " a command may allow code: llmops gate … --allow-code",
            next_command=f"llmops compare BASELINE CANDIDATE --suite FILE --scorer {text}",
        )
    if colon and not scorer.argument:
        raise UsageError(f"scorer {text!r}: {kind} takes no argument")
    if scorer.argument and not argument:
        raise UsageError(f"scorer {text!r}: needs an argument, {scorer.form}")
    if label in RESERVED:
        raise UsageError(f"scorer {text!r}: the label {label!r} is reserved; choose another")
    return ScorerName(label or _default_label(kind, scorer.detail(argument)), kind, argument)


def parse_all(texts: Iterable[str], *, code: bool = True) -> tuple[ScorerName, ...]:
    """Read several names, whose labels must differ.

    Raises:
        UsageError: A name is wrong (see ``parse``), or two scorers have the same label.
    """
    names = tuple(parse(text, code=code) for text in texts)
    labels = [name.label for name in names]
    for name in names:
        if labels.count(name.label) > 1:
            raise UsageError(
                f"two scorers have the label {name.label!r}; one of them is {name.spec!r}",
                next_command=f"give it another label: LABEL={name.spec}",
            )
    return names


def closest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that a user may have meant; ``None`` if none is close."""
    near = get_close_matches(name.lower(), list(names), n=1)
    return near[0] if near else None


def allowed(*, code: bool = True) -> tuple[str, ...]:
    """Return the forms that a name may have, ``NAME`` or ``NAME:ARGUMENT``."""
    return tuple(scorer.form for scorer in BUILT_IN if code or not scorer.runs_code)


def with_file(text: str, place: Callable[[str], str]) -> str:
    """Return a name with its path replaced, or unchanged if it has no path.

    Args:
        text: A name as the user wrote it, valid or not.
        place: Returns the new path for the path as written.
    """
    _, spec = _split(text)
    kind, _, argument = spec.partition(":")
    if not argument or kind not in BY_NAME or BY_NAME[kind].argument != FILE:
        return text
    return text.removesuffix(argument) + place(argument)


def _split(text: str) -> tuple[str, str]:
    """Return the label, empty if there is none, and the rest."""
    labelled = _LABELLED.fullmatch(text)
    return (labelled[1], labelled[2]) if labelled else ("", text)


def _default_label(kind: str, detail: str) -> str:
    """Return a label that MLflow accepts in the name of a metric."""
    return "_".join(part for part in (kind, re.sub(r"\W+", "_", detail, flags=re.ASCII)) if part)
