"""Words, symbols and number formats that all outputs share, and safe display of foreign text."""

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
from llmops.records.models import BARE_BASE

TITLES = {scorer.name: scorer.title for scorer in BUILT_IN if scorer.title}
NOTHING, SMALL = 1e-12, 1e-4
"""Size up to which a number is a rounded zero, and below which it is written with an exponent."""
BUDGETS = {
    "mean_tokens": "mean tokens of an answer",
    "mean_seconds": "mean seconds of an answer",
    "usd_per_1000_answers": "US dollars for 1,000 answers",
}
"""Names of budgets in a sentence."""
MINUS = "\N{MINUS SIGN}"
ELLIPSIS = "…"

_NEGATIVE = re.compile(r"(?<![\w-])-(?=[0-9.])")
_ANSI = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji are spelled with them
_NOT_IN_XML = "\ufffe\uffff"


@dataclass(frozen=True)
class Finding:
    """The result for one metric: a word and a shape, never colour alone.

    Attributes:
        word: Such as ``improved``.
        shape: Symbol that stands for the word.
        tone: Class name for styling: ``good``, ``fine``, ``open`` or ``bad``.
        detail: Margin or MDE; empty for none.
    """

    word: str
    shape: str
    tone: str
    detail: str = ""

    @property
    def text(self) -> str:
        """Word and detail, such as ``not shown (MDE ±0.06)``."""
        return f"{self.word} ({self.detail})" if self.detail else self.word


IMPROVED = Finding("improved", "▲", "good")
WORSE = Finding("worse", "▼", "bad")


def finding(result: MetricResult, decision: Decision | None = None) -> Finding:
    """Return the word, shape and detail of a metric's result; see ``verdict``."""
    test = result.test
    check = _check_of(result.metric, decision)
    outcome = verdict(result, decision)
    if outcome is Verdict.IMPROVED:
        return IMPROVED
    if outcome is Verdict.REGRESSED:
        return WORSE
    if outcome is Verdict.NOT_WORSE:
        margin = check.margin if check else result.margin
        return Finding("not worse", "◆", "fine", f"margin {margin:g}")
    return Finding("not shown", "●", "open", _not_shown(test, check))


def _not_shown(test: PairedTest, check: Check | None) -> str:
    """Return the detail of "not shown": a change beyond the margin, or the MDE."""
    if check and check.margin and (test.low > 0 or test.high < 0):
        bound = "a gain above" if check.must == "improve" else "a loss below"
        return f"{bound} {check.margin:g}"
    return f"MDE ±{_size(test.detectable)}"


def _check_of(metric: str, decision: Decision | None) -> Check | None:
    return next((c for c in differences_of(decision) if c.metric == metric), None)


def differences_of(decision: Decision | None) -> tuple[Check, ...]:
    """Return the checks that read the difference over the whole suite."""
    checks = decision.checks if decision else ()
    return tuple(c for c in checks if c.must in ("improve", "not_regress") and c.slice is None)


def verdict(result: MetricResult, decision: Decision | None = None) -> Verdict:
    """Return the gate's verdict if its policy has the metric, else the interval's verdict."""
    test, check = result.test, _check_of(result.metric, decision)
    # NOT_WORSE means a tolerated loss, and a requirement to improve has no tolerance.
    no_margin = check and check.must == "improve" and check.verdict is Verdict.NOT_WORSE
    if check and not no_margin:
        return check.verdict
    if test.low > 0:
        return Verdict.IMPROVED
    if result.margin is not None and test.low > -result.margin:
        return Verdict.NOT_WORSE
    return Verdict.REGRESSED if test.high < 0 else Verdict.INCONCLUSIVE


def primary(comparison: Comparison, decision: Decision | None = None) -> MetricResult:
    """Return the metric of the policy's first requirement, else the first metric."""
    checks = decision.checks if decision else ()
    demanded = (m for check in checks for m in comparison.metrics if m.metric == check.metric)
    return next(demanded, comparison.metrics[0])


def status(decision: Decision) -> str:
    """Return ``PASSED``, ``REJECTED`` or ``INCONCLUSIVE``, matching the gate's exit code."""
    words = {errors.EXIT_OK: "PASSED", errors.EXIT_REJECTED: "REJECTED"}
    return words.get(decision.exit_code, "INCONCLUSIVE")


def demand(check: Check) -> str:
    """Return a requirement as text: ``token F1 must improve by more than 0.02``."""
    name = BUDGETS.get(check.metric) or metric_name(check.metric)
    if check.slice:
        name += f" on {clean('='.join(check.slice), 40)}"
    if check.must == "improve":
        return f"{name} must improve" + (f" by more than {check.margin:g}" if check.margin else "")
    if check.must == "not_regress":
        return f"{name} must not lose more than {check.margin:g}"
    if check.must == "hold":
        return f"the judge of {name} must pass its controls"
    return f"{name} must be {check.must.replace('_', ' ')} {check.value:g}"


def outcome(check: Check) -> str:
    """Return the verdict on a requirement, or what was observed, with the reason if there is one."""
    found = str(check.verdict)
    if check.value is not None:
        found = "unknown" if check.observed is None else f"{check.observed:.4g}"
    elif check.must == "hold":
        found = "held" if check.passed else "not held"
    return f"{found} ({check.reason})" if check.reason else found


def metric_name(metric: str) -> str:
    """Return a metric's title: its scorer's title, or its label with spaces."""
    return TITLES.get(metric) or clean(metric.replace("_", " "), 32) or "unnamed"


def side_name(side: Side) -> str:
    """Return a side's name for a sentence."""
    return "the bare base" if side.label == BARE_BASE else clean(side.label, 40)


def signed(value: float) -> str:
    """Format a difference of scores, such as ``+0.208``; only an exact zero is shown as zero."""
    return _nonzero(value, 3)


def points(value: float) -> str:
    """Format a difference of scores in points (hundredths), such as ``+20.8``."""
    return _nonzero(100 * value, 1)


def _nonzero(value: float, digits: int) -> str:
    """Format a number with its sign, with two significant digits if it would round to zero."""
    if round(value, digits) == 0 and abs(value) > NOTHING:
        return f"{value:+.1e}" if abs(value) < SMALL else f"{value:+.2g}"
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def typeset(number: str) -> str:
    """Return a number with a true minus sign, for proportional type."""
    return number.replace("-", MINUS)


def typeset_within(sentence: str) -> str:
    """Return a sentence with true minus signs in its numbers; a hyphen in a name stays."""
    return _NEGATIVE.sub(MINUS, sentence)


def p_value(p: float) -> str:
    """Format a p-value as ``0.011``, as ``<0.001`` below that, and NaN as ``-``."""
    if math.isnan(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float) -> str:
    """Format a p-value as an expression: ``p = 0.011`` or ``p < 0.001``."""
    if math.isnan(p):
        return "no p-value"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def percent(share: float) -> str:
    """Format a share in percent, such as ``95%`` or ``99.97%``.

    The rest to 100% keeps two digits, so that no share below 1 is shown as 100%.
    """
    rest = 100 * (1 - share)
    digits = 6 if not 0 < rest < 100 else max(2, 1 - math.floor(math.log10(rest)))
    return f"{round(100 * share, digits):.15g}%"


def outside(comparison: Comparison) -> str:
    """Return a note on the metrics whose difference lies outside their interval; mostly empty.

    ``spend`` and ``obf`` report what all looks allow together, which may exclude the last estimate.
    """
    found = [
        metric_name(result.metric)
        for result, test in ((result, result.test) for result in comparison.metrics)
        if test.difference < test.low - NOTHING or test.difference > test.high + NOTHING
    ]
    if not found:
        return ""
    return (
        f"{', '.join(found)}: the difference lies outside its interval. The interval holds what every"
        f" look of the method {clean(comparison.method, 16)} allows; the difference is that of the last."
    )


def prompts(result: MetricResult) -> str:
    """Return a text such as ``120 paired prompts in 40 clusters``."""
    test = result.test
    count = f"{test.n:,} paired prompt" + ("" if test.n == 1 else "s")
    if test.clusters == test.n:
        return count
    return f"{count} in {test.clusters:,} cluster" + ("" if test.clusters == 1 else "s")


def nll(comparison: Comparison) -> Mapping[str, str]:
    """Return both sides' negative log-likelihood per expected token, in nats; empty if unknown."""
    if comparison.nll is None:
        return {}
    return dict(zip(("baseline", "candidate"), (f"{x:.3f}" for x in comparison.nll), strict=True))


def _size(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.3f}"


def clean(text: str, limit: int = 200) -> str:
    """Return foreign text as one line without escape sequences, control or invisible characters."""
    line = " ".join(_ANSI.sub("", text[: 4 * limit]).split())
    line = "".join(c for c in line if not _is_unsafe(c)).strip()
    cut = len(line) > limit or len(text) > 4 * limit
    return line[: limit - 1].rstrip() + ELLIPSIS if cut else line


def visible(text: str) -> str:
    """Return foreign text with its lines, invisible and control characters as ``⟨U+202E⟩``."""
    lines = text.replace("\r\n", "\n")
    return "".join(f"⟨U+{ord(c):04X}⟩" if c not in "\n\t" and _is_unsafe(c) else c for c in lines)


def _is_unsafe(character: str) -> bool:
    """Return whether a character is a control or format character, a lone surrogate, or not XML."""
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character not in _JOINERS
    return character in _NOT_IN_XML
