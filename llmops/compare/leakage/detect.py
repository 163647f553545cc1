"""Detection of leakage: prompts of a suite that occur in training texts, exactly or nearly.

``docs/explanation/leakage.md`` explains the kinds of leak, the limits and their measured error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from llmops.records import Example
from llmops.stats.clusters import indices
from llmops.texts.ngrams import Texts
from llmops.texts.normalize import words
from llmops.texts.overlap import Floats, Prompts, alike, contained

LONG, BRIEF = 13, 8
"""Words in a row (n-gram length) that two texts do not share by chance, for a long and for a short
prompt; the range of Brown et al. 2020, arXiv:2005.14165, appendix C."""
SHORT = 2 * LONG
"""Words below which a prompt is short: one changed word may leave it without any run of 13."""
CONTAINED = 0.7
"""Share of a prompt's runs in a single training text from which the prompt counts as trained on; as in
Chowdhery et al. 2022, arXiv:2204.02311, section 8. A single shared run would flag every prompt with
the same instruction."""
ALIKE, PAIR, FEWEST = 0.7, 2, 6
"""Near-duplicates: minimum Jaccard index of the sets of word n-grams, the n, and the minimum number
of n-grams of the prompt."""

Kind = Literal["duplicate", "overlap", "near-duplicate"]


@dataclass(frozen=True)
class Leak:
    """How a prompt occurs in the training data.

    Attributes:
        kind: ``duplicate``: the same words; ``overlap``: most of the prompt's runs of 13 words (8
            if it is short) occur in a single training text; ``near-duplicate``: prompt and training
            text share most of their word pairs.
        share: Share of the prompt's runs in the training text, or Jaccard index of the word pairs,
            in (0, 1]; 1 for a duplicate.
    """

    kind: Kind
    share: float


def leaked(training: Iterable[str], examples: Sequence[Example]) -> dict[str, Leak]:
    """Find the examples that occur in training texts.

    Args:
        training: Training prompts and answers; read once.
        examples: Prompts of a suite; their system messages are ignored.

    Returns:
        Example id → how it occurs in the training data, in the order of the examples.
    """
    prompts = [words(_prompt(example)) for example in examples]
    numbers: dict[str, int] = {}
    for word in chain.from_iterable(prompts):
        numbers.setdefault(word, len(numbers) + 1)
    forms = _forms(prompts, examples)
    trained, seen = _read(training, numbers, forms)
    parts, indices = _shares(prompts, examples, numbers, trained)
    leaks: dict[str, Leak] = {}
    for example, own, part, index in zip(examples, forms, parts, indices, strict=True):
        if not seen.isdisjoint(own):
            leaks[example.id] = Leak("duplicate", 1.0)
        elif part >= CONTAINED:
            leaks[example.id] = Leak("overlap", float(part))
        elif index >= ALIKE:
            leaks[example.id] = Leak("near-duplicate", float(index))
    return leaks


def _prompt(example: Example) -> str:
    """Return the turns of user and assistant; many prompts share the same system message."""
    return "\n".join(turn["content"] for turn in example.messages if turn["role"] != "system")


def _forms(prompts: Sequence[list[str]], examples: Sequence[Example]) -> list[tuple[str, ...]]:
    """Return each prompt, and each prompt with its answer, as normalized text; none if it is empty."""
    return [
        (" ".join(prompt), " ".join([*prompt, *words(example.expected or "")])) if prompt else ()
        for prompt, example in zip(prompts, examples, strict=True)
    ]


def _read(
    training: Iterable[str], numbers: Mapping[str, int], forms: Sequence[tuple[str, ...]]
) -> tuple[Texts, set[str]]:
    """Return the distinct training texts, and the forms that are among them.

    A repeated row counts once: otherwise a prompt that was trained on often would be taken for
    boilerplate.
    """
    wanted, seen, hashes = set(chain.from_iterable(forms)), set(), set()
    trained = Texts(numbers)
    for text in training:
        row = words(text)
        form = " ".join(row)
        if hash(form) in hashes:
            continue
        hashes.add(hash(form))
        trained.add(row)
        if form in wanted:
            seen.add(form)
    return trained, seen


def _shares(
    prompts: Sequence[list[str]],
    examples: Sequence[Example],
    numbers: Mapping[str, int],
    trained: Texts,
) -> tuple[Floats, Floats]:
    """Return the contained share and the Jaccard index of each prompt, both of shape (examples,)."""
    texts = Texts(numbers)
    for prompt in prompts:
        texts.add(prompt)
    clusters = indices([example.cluster for example in examples])
    ours = Prompts(texts, clusters)
    brief = np.array([len(prompt) < SHORT for prompt in prompts], bool)
    parts = np.where(brief, contained(ours, trained, BRIEF), contained(ours, trained, LONG))
    return parts, alike(ours, trained, PAIR, FEWEST)
