"""The leakage check of a version: which prompts of a suite it was trained on.

``compare`` and the gate read the same result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeGuard

from llmops.compare.leakage.detect import Leak, leaked
from llmops.compare.leakage.training import training_texts
from llmops.records import ModelFiles, Side, Suite


@dataclass(frozen=True)
class TrainedOn:
    """Which prompts of a suite a version was trained on.

    Attributes:
        uri: URI of the version.
        leaks: Example id → how it occurs in the training data; ``None`` if the training data are
            unknown.
    """

    uri: str
    leaks: Mapping[str, Leak] | None


def check_sides(sides: Sequence[Side], suite: Suite) -> dict[str, TrainedOn]:
    """Check a suite against the training data of every side; each version's are downloaded once.

    Returns:
        Digest of a side → result of its check. Bare bases and models behind a URL are absent.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    versions = {side.digest: side for side in sides if _is_trained(side)}
    return {key: trained_on(side, suite) for key, side in versions.items()}


def trained_on(side: ModelFiles, suite: Suite) -> TrainedOn:
    """Find the prompts of a suite in the training data of a version.

    Raises:
        StoreError: The store refuses or does not answer.
    """
    texts = training_texts(side)
    if texts is None:
        return TrainedOn(side.uri, None)
    return TrainedOn(side.uri, leaked(chain(texts.prompts, texts.completions), suite.examples))


def _is_trained(side: Side) -> TypeGuard[ModelFiles]:
    """Return whether a side is a trained version: an adapter, or the model of a run."""
    if not isinstance(side, ModelFiles):
        return False
    return side.adapter_digest is not None or side.run_id is not None
