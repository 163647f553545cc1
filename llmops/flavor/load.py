"""Loading natively: versions in memory, those of one base in one engine."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from llmops.engine import Engine, Key, Request, open_engine
from llmops.engine.chat_format import Messages
from llmops.engine.openai.replies import Reply
from llmops.errors import UsageError
from llmops.flavor import rows
from llmops.models import load_options
from llmops.models.resolve import resolve
from llmops.records import Answer, ModelFiles, Sampling


@dataclass(frozen=True)
class LoadedModel:
    """One version in memory.

    Attributes:
        files: The verified files it was loaded from.
        engine: What generates; versions that were loaded together share it.
    """

    files: ModelFiles
    engine: Engine

    def generate(
        self, conversations: Sequence[Messages | str], sampling: Sampling | Sequence[Sampling]
    ) -> list[Answer]:
        """Answer conversations in batches.

        Args:
            conversations: Messages with ``role`` and ``content``, or texts to continue.
            sampling: One for all, or one for each.

        Raises:
            UsageError: A conversation does not fit the model; nothing is generated then.
        """
        if isinstance(sampling, Sampling):
            sampling = [sampling] * len(conversations)
        if len(sampling) != len(conversations):
            raise UsageError(f"{len(sampling)} samplings for {len(conversations)} conversations")
        requests = [
            Request(self.files, messages, one, key)
            for key, (messages, one) in enumerate(zip(conversations, sampling, strict=True))
        ]
        answers: dict[Key, Answer] = {}
        with closing(self.engine.answer(requests)) as done:
            for key, answer in done:
                if answer.error is not None:
                    raise UsageError(answer.error)
                answers[key] = answer
        return [answers[request.key] for request in requests]

    def stream(self, messages: Messages | str, sampling: Sampling) -> Generator[str | Answer]:
        """Yield pieces of text, then the whole answer."""
        return self.engine.stream(Request(self.files, messages, sampling))

    def predict(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Answer every row, all of them in batches of similar length.

        Args:
            data: One chat request (``{"messages": […]}``), a list of prompts, of requests or of
                conversations, or a DataFrame with a column ``messages`` or ``prompt``. A row may
                carry ``max_tokens``, ``temperature``, ``top_p``, ``n``, ``seed`` and ``stop``.
            params: The same parameters, for rows that do not carry them.

        Returns:
            OpenAI's ``chat.completion`` for one chat request, a list of them for anything else.

        Raises:
            UsageError: Neither messages nor prompts, an unknown parameter, or a conversation that
                does not fit the model.
        """
        requests = rows.read(data, params)
        conversations = [r.prompt for r in requests for _ in r.samplings]
        samplings = [sampling for r in requests for sampling in r.samplings]
        answers = iter(self.generate(conversations, samplings))
        uri = self.files.uri
        done = [Reply(uri).whole([next(answers) for _ in r.samplings]) for r in requests]
        return done[0] if isinstance(data, Mapping) else done

    def predict_stream(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Stream one row as ``chat.completion.chunk`` objects.

        Args:
            data: One row, see ``predict``.
            params: See ``predict``.

        Raises:
            UsageError: More than one row or answer, or what ``predict`` refuses.
        """
        request = rows.read_one(data, params)
        pieces = self.stream(request.prompt, request.samplings[0])
        return Reply(self.files.uri).chunks(pieces, include_usage=request.include_usage)


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
    engine = open_engine("local", sides, chosen)
    return [LoadedModel(side, engine) for side in sides]
