"""The longest common subsequence of words."""

from __future__ import annotations

import pytest

from llmops.compare.scorers.rouge_l import score as rouge_l


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("police kill the gunman", "police killed the gunman", 3 / 4),  # Lin 2004, section 3.1
        ("the gunman kill police", "police killed the gunman", 2 / 4),
        ("the gunman police killed", "police killed the gunman", 2 / 4),
        ("a b", "a x y b", 2 * 1 * 0.5 / 1.5),
        ("running", "run", 0.0),  # not stemmed
        ("Same, WORDS!", "same words", 1.0),
        ("größe", "größe", 1.0),
        ("", "a", 0.0),
        ("", "", 0.0),
    ],
)
def test_rouge_l(prediction: str, reference: str, score: float) -> None:
    assert rouge_l(prediction, reference) == pytest.approx(score)


def test_rouge_l_of_ascii_text_is_that_of_the_package() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    package = RougeScorer(["rougeL"], use_stemmer=False)
    texts = [
        "Return the last access time of a file, as given by os.stat().",
        "Returns a file's access_time!  See os.stat()",
        'Split 2 paths\tinto (head, tail) -- "tail" may be empty',
        "x__y  3.5 x_y",
    ]
    for prediction in texts:
        for reference in texts:
            expected = package.score(reference, prediction)["rougeL"].fmeasure
            assert rouge_l(prediction, reference) == pytest.approx(expected, abs=1e-12)
