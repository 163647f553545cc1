"""Trained-on prompts are found in any dress, and prompts that merely look alike are left alone."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Sequence

import pytest

from llmops.compare.leakage.detect import CONTAINED, Leak, leaked
from llmops.records import Example

RNG = random.Random(0)
VOCABULARY = ["".join(RNG.choices(string.ascii_lowercase, k=6)) for _ in range(20_000)]


def sentence(words: int) -> str:
    return " ".join(RNG.choices(VOCABULARY, k=words))


def example(
    prompt: str, *, expected: str | None = None, number: int = 0, cluster: str | None = None
) -> Example:
    turns = ({"role": "user", "content": prompt},)
    return Example(f"q{number}", turns, expected, cluster or f"q{number}")


def examples(prompts: Sequence[str]) -> list[Example]:
    return [example(prompt, number=i) for i, prompt in enumerate(prompts)]


def leak(prompt: str, *training: str) -> Leak | None:
    """Of one prompt, among others."""
    others = [sentence(30) for _ in range(50)]
    return leaked([*others, *training], [example(prompt)]).get("q0")


SHORT_PROMPT = "Why does my oven beep twice?"
LONG_PROMPT = sentence(60)
CODE = "def area(width, height):\n    total = width * height\n    return total if total > 0 else None\n"


@pytest.mark.parametrize("prompt", [SHORT_PROMPT, LONG_PROMPT, CODE, "Hi", "\U0001f600", "東京は?"])
@pytest.mark.parametrize(
    "dress",
    [
        lambda p: p,
        lambda p: p.upper(),
        lambda p: "  " + p.replace(" ", "\n\t") + " ",
        lambda p: p.replace("?", "").replace("(", " ( ").replace(",", ";"),
    ],
    ids=["verbatim", "case", "whitespace", "punctuation"],
)
def test_the_same_words_are_a_duplicate_in_any_dress(prompt: str, dress: object) -> None:
    assert leak(prompt, dress(prompt)) == Leak("duplicate", 1.0)  # type: ignore[operator]


def test_a_prompt_with_its_answer_in_one_text_is_a_duplicate() -> None:
    asked = example("Name a sea.", expected="The Aral Sea")
    assert leaked(["name a sea\nthe aral sea"], [asked]) == {"q0": Leak("duplicate", 1.0)}
    assert leaked(["name a sea\nthe black sea"], [asked]) == {}


def test_an_answer_alone_is_no_leak() -> None:
    """Labels and canned replies are meant to be learnt."""
    asked = example("Where is my parcel?", expected=LONG_PROMPT)
    assert leaked([LONG_PROMPT, "Where is it?"], [asked]) == {}


def test_a_prompt_inside_a_longer_text_is_found() -> None:
    found = leak(LONG_PROMPT, f"{sentence(200)} {LONG_PROMPT} {sentence(200)}")
    assert found == Leak("overlap", 1.0)


def test_a_short_prompt_inside_a_longer_text_needs_eight_words() -> None:
    eight, seven = sentence(8), sentence(7)
    assert leak(eight, f"Answer this: {eight} {sentence(20)}") == Leak("overlap", 1.0)
    assert leak(seven, f"Answer this: {seven} {sentence(20)}") is None


def test_part_of_a_prompt_counts_from_the_documented_share_on() -> None:
    words = LONG_PROMPT.split()  # 60 words, 48 runs of 13
    most, less = 12 + 34, 12 + 33  # words that hold 34 (71%) and 33 (69%) of the runs
    assert 33 / 48 < CONTAINED < 34 / 48
    assert leak(LONG_PROMPT, " ".join(words[:most])) == Leak("overlap", 34 / 48)
    assert leak(LONG_PROMPT, " ".join(words[:less]) + " " + sentence(40)) is None


def test_parts_in_two_training_texts_are_not_added_up() -> None:
    words = LONG_PROMPT.split()
    halves = [f"{' '.join(half)} {sentence(30)}" for half in (words[:36], words[24:])]
    assert leak(LONG_PROMPT, *halves) is None


def test_a_run_is_not_formed_across_two_training_texts() -> None:
    prompt = sentence(8)
    words = prompt.split()
    assert leak(prompt, " ".join(words[:4]), " ".join(words[4:])) is None


def test_one_changed_word_in_a_sentence_is_a_near_duplicate() -> None:
    words = sentence(13).split()
    changed = [*words[:6], "zebra", *words[7:]]
    found = leak(" ".join(words), " ".join(changed))
    assert found == Leak("near-duplicate", pytest.approx(10 / 14))


def test_a_near_duplicate_needs_six_pairs_of_words() -> None:
    seven, five = sentence(7), sentence(5)
    assert leak(seven, f"{seven} please") == Leak("near-duplicate", 6 / 7)
    assert leak(five, f"{five} please") is None  # 4 of 5 pairs


def test_a_near_duplicate_is_found_behind_thousands_of_texts() -> None:
    words = sentence(13).split()
    changed = " ".join([*words[:6], "zebra", *words[7:]])
    others = [sentence(5 + i % 50) for i in range(2_345)]
    found = leaked([*others, changed, *others[:10]], [example(" ".join(words))])
    assert found == {"q0": Leak("near-duplicate", pytest.approx(10 / 14))}


def test_another_number_in_a_short_question_is_another_question() -> None:
    assert leak("What is 17 times 4?", "What is 18 times 4?") is None


def test_a_prompt_of_other_words_is_no_leak() -> None:
    assert leak(LONG_PROMPT, " ".join(sorted(LONG_PROMPT.split()))) is None


TEMPLATE = (
    "Read the message of the customer below with great care and answer with exactly one of"
    " the known labels in lower case without any explanation because a program reads it"
)


@pytest.mark.parametrize("prompts", [20, 200])
@pytest.mark.parametrize("rows", [9, 1000])
def test_an_instruction_that_all_share_flags_nothing_but_the_copies(
    prompts: int, rows: int
) -> None:
    asked = [f"{TEMPLATE}\n\n{sentence(5)}" for _ in range(prompts)]
    trained = [f"{TEMPLATE}\n\n{sentence(5)}" for _ in range(rows)]
    assert leaked(trained, examples(asked)) == {}
    changed = asked[1].upper().replace("\n", " ")
    found = leaked([*trained, asked[0], f"{changed} Thanks!"], examples(asked))
    assert set(found) == {"q0", "q1"}
    assert (found["q0"].kind, found["q1"].kind) == ("duplicate", "overlap")


def test_an_instruction_is_known_from_the_training_data_alone() -> None:
    """One prompt of its kind in a suite of many: the training texts show what is boilerplate."""
    asked = [f"{TEMPLATE} {sentence(6)}", *(sentence(30) for _ in range(30))]
    trained = [f"{TEMPLATE} {sentence(6)}" for _ in range(40)]
    assert leaked(trained, examples(asked)) == {}
    assert leaked(trained[:1], examples(asked)) == {"q0": Leak("overlap", 18 / 24)}


def test_a_passage_of_one_cluster_is_no_boilerplate() -> None:
    """Five questions about one passage that was trained on: all five are found."""
    passage = sentence(80)
    asked = [example(f"{passage} {sentence(6)}", number=i, cluster="passage") for i in range(5)]
    others = [example(sentence(30), number=i) for i in range(5, 30)]
    found = leaked([f"{passage} {sentence(6)}"], [*asked, *others])
    assert list(found) == ["q0", "q1", "q2", "q3", "q4"]


def test_a_prompt_that_was_trained_on_often_is_no_boilerplate() -> None:
    rows = [LONG_PROMPT] * 500 + [f"{sentence(2)} {LONG_PROMPT}" for _ in range(8)]
    assert leak(LONG_PROMPT, *rows) == Leak("duplicate", 1.0)
    assert leak(LONG_PROMPT, *rows[500:]) == Leak("overlap", 1.0)
    assert leak(LONG_PROMPT, *[rows[-1]] * 500) == Leak("overlap", 1.0)


def test_system_messages_are_not_looked_at_and_earlier_turns_are() -> None:
    turns = [
        {"role": "system", "content": sentence(100)},
        {"role": "user", "content": LONG_PROMPT},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And then?"},
    ]
    chat = Example("chat", tuple(turns), None, "chat")
    assert leaked([turns[0]["content"], "And then?"], [chat]) == {}
    assert list(leaked([LONG_PROMPT], [chat])) == ["chat"]


def test_chinese_needs_no_spaces() -> None:
    prompt = "请问北京到上海的高铁票价是多少钱需要几个小时"
    assert leak(prompt, f"客户说{prompt}谢谢") == Leak("overlap", 1.0)
    assert leak(prompt, "请问广州有什么好吃的餐厅推荐吗") is None


def test_every_flag_survives_more_training_data_and_follows_the_prompt() -> None:
    """Random sets: planted prompts are found, others are not, in whatever order."""
    for seed in range(10):
        rng = random.Random(seed)
        asked = examples([sentence(rng.randint(3, 60)) for _ in range(60)])
        planted = rng.sample(asked, 20)
        trained = [p.messages[0]["content"].title() for p in planted]
        trained += [sentence(rng.randint(3, 80)) for _ in range(rng.randint(0, 300))]
        rng.shuffle(trained)
        rng.shuffle(asked)
        found = leaked(trained, asked)
        assert list(found) == [e.id for e in asked if e in planted]


@pytest.mark.parametrize("training", [[], [""], ["   ", "\n"]])
def test_empty_training_data_flags_nothing(training: list[str]) -> None:
    assert leaked(training, examples(["Hi", "", "   "])) == {}


def test_no_examples_have_no_leaks() -> None:
    assert leaked(["text"], []) == {}


@pytest.mark.parametrize(
    "hostile",
    [
        "a " * 500_000,
        "a" * 1_000_000,
        "a" + "\u0315\u0300" * 500_000,
        sentence(150_000),
        "{" * 10**6,
    ],
    ids=["one word", "one run", "marks", "words", "brackets"],
)
def test_a_hostile_megabyte_takes_seconds_and_hides_nothing(hostile: str) -> None:
    begun = time.process_time()
    found = leaked([hostile, LONG_PROMPT.upper()], examples([LONG_PROMPT, hostile, "Hi"]))
    assert {"q0", "q1"} == set(found)
    assert time.process_time() - begun < 20


def test_a_suite_of_a_thousand_takes_seconds() -> None:
    asked = [sentence(40) for _ in range(1_000)]
    trained = [sentence(60) for _ in range(10_000)] + asked[:100]
    begun = time.process_time()
    assert len(leaked(trained, examples(asked))) == 100
    assert time.process_time() - begun < 20
