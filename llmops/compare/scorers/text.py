"""Per-example scores in [0, 1]: pure functions, higher is better.

The one place where a score is defined; the ``evaluate`` modules under ``metrics/`` average these.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from llmops.compare.scorers.json_answers import json_fields

LINE_LIMIT = 120
CHRF_ORDER = 6
"""Longest run of characters that chrF counts."""
CHRF_BETA = 2
"""chrF weighs recall this many times as much as precision."""
_TOKEN = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"[.!?][\"'\u201d\u2019\u00bb)\]}]?$")


def exact(prediction: str, reference: str) -> float:
    """Whether an answer is the wanted one, up to its writing.

    Returns:
        1 if both are equal once ``normalised``, else 0.
    """
    return float(normalised(prediction) == normalised(reference))


def normalised(text: str) -> str:
    """Unicode NFKC, case folded, white space runs as one space, one full stop at the end cut."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    return " ".join(words).removesuffix(".").rstrip()


def token_f1(prediction: str, reference: str) -> float:
    """Overlap of words, as SQuAD counts it: Rajpurkar et al. 2016 (arXiv:1606.05250), section 6.1.

    Words are lower-cased runs of letters and digits. Articles count: an answer is a sentence
    here, not a span.

    Returns:
        Harmonic mean of precision and recall; 1 if both are empty, 0 if one is.
    """
    answered, wanted = Counter(tokens(prediction)), Counter(tokens(reference))
    if not answered or not wanted:
        return float(answered == wanted)
    shared = (answered & wanted).total()
    return 2 * shared / (answered.total() + wanted.total())


def rouge_l(prediction: str, reference: str) -> float:
    """Longest common subsequence of words: Lin 2004 (aclanthology.org/W04-1013), section 3.

    The F-measure of the ``rouge_score`` package, not stemmed. Words are those of ``token_f1``:
    on ASCII text the package's own, but no script is lost.

    Returns:
        The F-measure; 0 if either is empty, as the package has it.
    """
    return float(_rouge().score(reference, prediction)["rougeL"].fmeasure)


def chrf(prediction: str, reference: str) -> float:
    """Character n-gram F-score: Popović 2015 (aclanthology.org/W15-3049), section 2.

    As sacrebleu computes it for one sentence, divided by 100: n up to 6, recall weighs twice,
    white space does not count. Precision and recall are averaged over the n for which both texts
    are long enough.

    Returns:
        The F-score; 1 if both are empty, 0 if one is.
    """
    answered, wanted = "".join(prediction.split()), "".join(reference.split())
    orders = range(1, min(CHRF_ORDER, len(answered), len(wanted)) + 1)
    if not orders:
        return float(answered == wanted)
    precision = recall = 0.0
    for n in orders:
        found, sought = _character_ngrams(answered, n), _character_ngrams(wanted, n)
        shared = (found & sought).total()
        precision += shared / found.total()
        recall += shared / sought.total()
    if precision == 0:
        return 0.0
    precision, recall, weight = precision / len(orders), recall / len(orders), CHRF_BETA**2
    return (1 + weight) * precision * recall / (weight * precision + recall)


def _character_ngrams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def one_line(prediction: str, reference: str = "") -> float:
    """Whether an answer has the form of a docstring's first line.

    Args:
        prediction: The answer; white space around it is ignored.
        reference: Ignored; it is here so that all text scorers are called alike.

    Returns:
        1 if the answer is one line of at most 120 characters, without a code fence, that ends
        in ``.``, ``!`` or ``?`` (a closing quote or bracket may follow), else 0.
    """
    text = prediction.strip()
    short = len(text.splitlines()) == 1 and len(text) <= LINE_LIMIT
    return float(short and "```" not in text and _SENTENCE_END.search(text) is not None)


def likelihood(log_probability_sum: float, tokens: int) -> float:
    """How likely a model finds a given answer, per token.

    Args:
        log_probability_sum: Sum of the natural logarithms of the tokens' probabilities.
        tokens: How many tokens were summed.

    Returns:
        The geometric mean of the probabilities, exp(sum / tokens).

    Raises:
        ValueError: No tokens, or a sum that is NaN or positive.
    """
    if tokens < 1 or not log_probability_sum <= 0:
        raise ValueError(f"no log-probability: sum {log_probability_sum} over {tokens} tokens")
    return math.exp(log_probability_sum / tokens)


def tokens(text: str) -> list[str]:
    """Lower-cased runs of letters and digits, of any script."""
    return _TOKEN.findall(text.lower())


TEXT_SCORERS: Mapping[str, Callable[[str, str], float]] = {
    "exact": exact,
    "token_f1": token_f1,
    "rouge_l": rouge_l,
    "chrf": chrf,
    "one_line": one_line,
    "json_fields": json_fields,
}
"""Scorers of (prediction, reference) by the names that recipes use."""
WITHOUT_REFERENCE = ("one_line",)
"""Those that do not read the reference."""


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # loads nltk: only where it is used

    class Words:
        """The tokenizer interface of ``rouge_score``."""

        def tokenize(self, text: str) -> list[str]:
            return tokens(text)

    return RougeScorer(["rougeL"], use_stemmer=False, tokenizer=Words())
