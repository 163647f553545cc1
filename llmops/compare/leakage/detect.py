"""Which prompts of a suite stand in training texts, word for word or nearly so.

What is looked for, the limits and what they were measured on: ``docs/explanation/leakage.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from llmops.records import Example
from llmops.texts.ngrams import Texts
from llmops.texts.normalize import words
from llmops.texts.overlap import Floats, Prompts, alike, contained

LONG, BRIEF = 13, 8
"""Words in a row that two texts do not share by chance, of a long and of a short prompt; the range
of Brown et al. 2020, arXiv:2005.14165, appendix C."""
SHORT = 2 * LONG
"""A prompt of fewer words is short: one changed word may leave it no run of 13."""
CONTAINED = 0.7
"""Share of a prompt's runs in one training text from which on it counts as trained on; as in Chowdhery
et al. 2022, arXiv:2204.02311, section 8. Any shared run would flag prompts of a like instruction."""
ALIKE, PAIR, FEWEST = 0.7, 2, 6
"""Jaccard index of the sets of word pairs of near duplicates, where a prompt has six pairs or more."""

Kind = Literal["duplicate", "overlap", "near duplicate"]


@dataclass(frozen=True)
class Leak:
    """How a prompt stands in the training data.

    Attributes:
        kind: ``duplicate``: the same words; ``overlap``: most of its runs of 13 (8) words stand in
            one training text; ``near duplicate``: most of its pairs of words, and little else.
        share: Part of the prompt's runs or pairs that they share, in (0, 1]; 1 for a duplicate.
    """

    kind: Kind
    share: float


def leaked(training: Iterable[str], examples: Sequence[Example]) -> dict[str, Leak]:
    """Find the examples that stand in training texts.

    Args:
        training: Prompts, or prompts with their answers; read once.
        examples: Prompts of a suite; their system messages are not looked at.

    Returns:
        Example id → how it stands in the training data, in the order of the examples.
    """
    prompts = [words(_prompt(example)) for example in examples]
    numbers: dict[str, int] = {}
    for word in chain.from_iterable(prompts):
        numbers.setdefault(word, len(numbers) + 1)
    forms = _forms(prompts, examples)
    trained, seen = _read(training, numbers, forms)
    parts, indices = _shares(prompts, examples, numbers, trained)
    found: dict[str, Leak] = {}
    for example, own, part, index in zip(examples, forms, parts, indices, strict=True):
        if not seen.isdisjoint(own):
            found[example.id] = Leak("duplicate", 1.0)
        elif part >= CONTAINED:
            found[example.id] = Leak("overlap", float(part))
        elif index >= ALIKE:
            found[example.id] = Leak("near duplicate", float(index))
    return found


def _prompt(example: Example) -> str:
    """Return what the user and the assistant said; a system message is shared by many prompts."""
    return "\n".join(turn["content"] for turn in example.messages if turn["role"] != "system")


def _forms(prompts: Sequence[list[str]], examples: Sequence[Example]) -> list[tuple[str, ...]]:
    """Return the words of each prompt, and of prompt and answer, as one text; none if it is empty."""
    return [
        (" ".join(prompt), " ".join([*prompt, *words(example.expected or "")])) if prompt else ()
        for prompt, example in zip(prompts, examples, strict=True)
    ]


def _read(
    training: Iterable[str], numbers: Mapping[str, int], forms: Sequence[tuple[str, ...]]
) -> tuple[Texts, set[str]]:
    """Return the distinct training texts, and those of the forms that are among them.

    Repeated rows are read once: else a prompt that was trained on often would be boilerplate.
    """
    wanted, seen, hashes = set(chain.from_iterable(forms)), set(), set()
    trained = Texts(numbers)
    for text in training:
        found = words(text)
        form = " ".join(found)
        if hash(form) in hashes:
            continue
        hashes.add(hash(form))
        trained.add(found)
        if form in wanted:
            seen.add(form)
    return trained, seen


def _shares(
    prompts: Sequence[list[str]],
    examples: Sequence[Example],
    numbers: Mapping[str, int],
    trained: Texts,
) -> tuple[Floats, Floats]:
    """Return what ``CONTAINED`` and ``ALIKE`` are compared with, both of shape (examples,)."""
    texts = Texts(numbers)
    for prompt in prompts:
        texts.add(prompt)
    clusters = np.unique([example.cluster for example in examples], return_inverse=True)[1]
    ours = Prompts(texts, clusters)
    brief = np.array([len(prompt) < SHORT for prompt in prompts], bool)
    parts = np.where(brief, contained(ours, trained, BRIEF), contained(ours, trained, LONG))
    return parts, alike(ours, trained, PAIR, FEWEST)
