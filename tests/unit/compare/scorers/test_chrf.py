"""F-score of character n-grams."""

from __future__ import annotations

import random

import pytest

from llmops.compare.scorers.chrf import score as chrf


def test_chrf_is_that_of_sacrebleu() -> None:
    from sacrebleu.metrics import CHRF

    package, draw = CHRF(), random.Random(5)
    words = ["Return", "the", "name", "größe", "名前", "a", "os.stat()", "-", "x"]
    for _ in range(300):
        texts = [" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(2)]
        expected = package.sentence_score(texts[0], [texts[1]]).score / 100
        assert chrf(*texts) == pytest.approx(expected, abs=1e-12), texts


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [("", "", 1.0), (" ", "a", 0.0), ("a", "", 0.0), ("abc", "xyz", 0.0), ("a b", "ab", 1.0)],
)
def test_chrf_of_little_text(prediction: str, reference: str, score: float) -> None:
    assert chrf(prediction, reference) == pytest.approx(score)


def test_chrf_of_odd_text_is_that_of_sacrebleu() -> None:
    from sacrebleu.metrics import CHRF

    package, draw = CHRF(), random.Random(3)
    odd = [
        "a",
        "b",
        " ",
        "\n",
        "\r\n",
        "\u3000",
        "\x85",
        "\x00",
        "e\u0301",
        "é",
        "名",
        "😀",
        "\u200d",
    ]
    for _ in range(1_000):
        texts = ["".join(draw.choices(odd, k=draw.randint(1, 20))) for _ in range(2)]
        if any(text.split() for text in texts):
            expected = package.sentence_score(texts[0], [texts[1]]).score / 100
            assert chrf(*texts) == pytest.approx(expected, abs=1e-12), texts


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("abc", "abd", 7 / 18),  # shares 2 of 3, 1 of 2 and 0 of 1 n-grams, on both sides alike
        ("ab", "abcd", 5 * 1 * 5 / 12 / (4 + 5 / 12)),  # recall 2/4 and 1/3; precision 1
    ],
)
def test_chrf_by_hand(prediction: str, reference: str, score: float) -> None:
    assert chrf(prediction, reference) == pytest.approx(score)
