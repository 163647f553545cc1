"""The words, shapes and numbers that all outputs share, and foreign text made safe to show."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from llmops import errors
from llmops.recipe.built_in_scorers import BUILT_IN
from llmops.records import (
    Check,
    Comparison,
    Decision,
    MetricResult,
    PairedTest,
    Side,
    Verdict,
)

TITLES = {scorer.name: scorer.title for scorer in BUILT_IN if scorer.title}
BARE_BASE = "base"
MINUS = "\N{MINUS SIGN}"
ELLIPSIS = "…"

_ANSI = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji are spelled with them
_NOT_IN_XML = "\ufffe\uffff"


@dataclass(frozen=True)
class Finding:
    """What a comparison says about one metric, told by word and shape, never by colour alone.

    Attributes:
        tone: Class name for styling: ``good``, ``fine``, ``open`` or ``bad``.
    """

    word: str
    shape: str
    tone: str
    detail: str = ""

    @property
    def text(self) -> str:
        """Word and detail: ``not shown (would see ±0.06)``."""
        return f"{self.word} ({self.detail})" if self.detail else self.word


IMPROVED = Finding("improved", "▲", "good")
WORSE = Finding("worse", "▼", "bad")


def finding(result: MetricResult, decision: Decision | None = None) -> Finding:
    """A verdict in words and shapes; see ``verdict``."""
    test = result.test
    check = _check_of(result.metric, decision)
    said = verdict(result, decision)
    if said is Verdict.IMPROVED:
        return IMPROVED
    if said is Verdict.REGRESSED:
        return WORSE
    if said is Verdict.NOT_WORSE:
        margin = check.margin if check else result.margin
        return Finding("not worse", "◆", "fine", f"margin {margin:g}")
    return Finding("not shown", "●", "open", _not_shown(test, check))


def _not_shown(test: PairedTest, check: Check | None) -> str:
    """What is missing: beyond zero only the margin is in doubt, else any difference is."""
    if check and check.margin and (test.low > 0 or test.high < 0):
        bound = "a gain above" if check.must == "improve" else "a loss below"
        return f"{bound} {check.margin:g}"
    return f"would see ±{_size(test.detectable)}"


def _check_of(metric: str, decision: Decision | None) -> Check | None:
    checks = decision.checks if decision else ()
    return next((check for check in checks if check.metric == metric), None)


def verdict(result: MetricResult, decision: Decision | None = None) -> Verdict:
    """The gate's verdict on a metric it demands, else what the interval says of zero and margin."""
    test, check = result.test, _check_of(result.metric, decision)
    # NOT_WORSE is said of a tolerated loss, and a demand to improve names none.
    untold = check and check.must == "improve" and check.verdict is Verdict.NOT_WORSE
    if check and not untold:
        return check.verdict
    if test.low > 0:
        return Verdict.IMPROVED
    if result.margin is not None and test.low > -result.margin:
        return Verdict.NOT_WORSE
    return Verdict.REGRESSED if test.high < 0 else Verdict.INCONCLUSIVE


def primary(comparison: Comparison, decision: Decision | None = None) -> MetricResult:
    """The metric of the policy's first requirement, else the first metric."""
    checks = decision.checks if decision else ()
    demanded = (m for check in checks for m in comparison.metrics if m.metric == check.metric)
    return next(demanded, comparison.metrics[0])


def status(decision: Decision) -> str:
    """``PASSED``, ``REJECTED`` or ``INCONCLUSIVE``: the word for the gate's exit code."""
    words = {errors.EXIT_OK: "PASSED", errors.EXIT_REJECTED: "REJECTED"}
    return words.get(decision.exit_code, "INCONCLUSIVE")


def demand(check: Check) -> str:
    """A requirement in words: ``token F1 must improve by more than 0.02``."""
    name = metric_name(check.metric)
    if check.must == "improve":
        return f"{name} must improve" + (f" by more than {check.margin:g}" if check.margin else "")
    return f"{name} must not lose more than {check.margin:g}"


def metric_name(metric: str) -> str:
    """Return what people call a metric: its scorer's title, or its label with spaces."""
    return TITLES.get(metric) or clean(metric.replace("_", " "), 32) or "unnamed"


def side_name(side: Side) -> str:
    """What a sentence calls a side."""
    return "the bare base" if side.label == BARE_BASE else clean(side.label, 40)


def signed(value: float) -> str:
    """A difference of scores: ``+0.208``; a rounded zero has no minus."""
    return f"{round(value, 3) + 0.0:+.3f}"


def points(value: float) -> str:
    """A difference of scores in hundredths: ``+20.8``."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def typeset(number: str) -> str:
    """A number with a true minus sign, for proportional type."""
    return number.replace("-", MINUS)


def p_value(p: float) -> str:
    """``0.011``, or ``<0.001`` where three decimals would say zero; ``-`` if there is none."""
    if math.isnan(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float) -> str:
    """``p = 0.011`` or ``p < 0.001``."""
    if math.isnan(p):
        return "no p-value"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def percent(share: float) -> str:
    """``95%``, and ``99.9%`` rather than ``100%``."""
    return f"{round(100 * share, 6):g}%"


def prompts(result: MetricResult) -> str:
    """``120 paired prompts``, with the clusters where prompts are not independent."""
    test = result.test
    count = f"{test.n:,} paired prompt" + ("" if test.n == 1 else "s")
    if test.clusters == test.n:
        return count
    return f"{count} in {test.clusters:,} cluster" + ("" if test.clusters == 1 else "s")


def nll(comparison: Comparison) -> Mapping[str, str]:
    """Negative log-likelihood per expected token of both sides, in nats; empty if it is not known."""
    if comparison.nll is None:
        return {}
    return dict(zip(("baseline", "candidate"), (f"{x:.3f}" for x in comparison.nll), strict=True))


def _size(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.3f}"


def clean(text: str, limit: int = 200) -> str:
    """One line of foreign text: no escape sequences, control or invisible characters."""
    line = " ".join(_ANSI.sub("", text[: 4 * limit]).split())
    line = "".join(c for c in line if not _is_unsafe(c)).strip()
    cut = len(line) > limit or len(text) > 4 * limit
    return line[: limit - 1].rstrip() + ELLIPSIS if cut else line


def visible(text: str) -> str:
    """Foreign text of many lines; what would be invisible or act is spelled: ``⟨U+202E⟩``."""
    lines = text.replace("\r\n", "\n")
    return "".join(f"⟨U+{ord(c):04X}⟩" if c not in "\n\t" and _is_unsafe(c) else c for c in lines)


def _is_unsafe(character: str) -> bool:
    """Control, bidirectional and other format characters, lone surrogates, non-XML."""
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character not in _JOINERS
    return character in _NOT_IN_XML
