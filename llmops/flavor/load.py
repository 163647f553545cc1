"""Loading natively: versions in memory, those of one base in one engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmops.engine import options as load_options
from llmops.engine.local import LocalEngine
from llmops.engine.resolve import resolve
from llmops.records import Answer, Message, ModelFiles, Sampling


@dataclass(frozen=True)
class LoadedModel:
    """One version in memory.

    Attributes:
        files: The verified files it was loaded from.
        engine: What generates; versions that were loaded together share it.
    """

    files: ModelFiles
    engine: LocalEngine

    def generate(
        self, conversations: Sequence[list[Message]], sampling: Sampling | Sequence[Sampling]
    ) -> list[Answer]:
        """Answers conversations in batches.

        Args:
            conversations: Messages with ``role`` and ``content``.
            sampling: One for all, or one for each.
        """
        return self.engine.generate(self.files, conversations, sampling)

    def stream(self, messages: list[Message], sampling: Sampling) -> Iterator[str | Answer]:
        """Yields pieces of text, then the whole answer."""
        return self.engine.stream(self.files, messages, sampling)


def load_model(model_uri: str, **options: Any) -> LoadedModel:
    """Loads a version, checked against its digests.

    Args:
        model_uri: ``models:/name/version``, ``models:/name@alias``, ``models:/m-…``, ``runs:/…`` or
            a directory that was saved.
        **options: Fields of ``records.LoadOptions``: ``dtype``, ``device``, ``attention``,
            ``quantization``, ``base``.

    Raises:
        NotFoundError: No such version, or its base is nowhere.
        IntegrityError: Bytes differ from those recorded, or the adapter does not fit its base.
        UsageError: An option that this machine or transformers does not have.
    """
    (model,) = load_models([model_uri], **options)
    return model


def load_models(model_uris: Sequence[str], **options: Any) -> list[LoadedModel]:
    """Loads versions of one base together: the base is in memory once.

    Args:
        model_uris: See ``load_model``.
        **options: See ``load_model``.

    Raises:
        UsageError: The versions have different bases.
        LlmopsError: See ``load_model``.
    """
    chosen = load_options.read(options, "load_model")
    sides = [resolve(uri, chosen) for uri in model_uris]
    engine = LocalEngine(sides, options=chosen)
    return [LoadedModel(side, engine) for side in sides]
