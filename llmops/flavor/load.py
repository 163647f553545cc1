"""Load versions into memory and generate; versions of one base model share an engine."""

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
from llmops.models import load_options, versions
from llmops.models.resolve import resolve
from llmops.records import Answer, ModelFiles, Sampling


@dataclass(frozen=True)
class LoadedModel:
    """A version in memory.

    Attributes:
        files: The verified files that it was loaded from.
        engine: The engine that generates; versions that were loaded together share it.

    Example:
        from llmops.flavor import load_model

        bot = load_model("models:/bot@champion")
        reply = bot.predict({"messages": [{"role": "user", "content": "What is a KV cache?"}]})
        print(reply["choices"][0]["message"]["content"])
    """

    files: ModelFiles
    engine: Engine

    def generate(
        self, conversations: Sequence[Messages | str], sampling: Sampling | Sequence[Sampling]
    ) -> list[Answer]:
        """Answer conversations in batches.

        Args:
            conversations: Lists of messages with ``role`` and ``content``, or texts to continue.
            sampling: One sampling for all conversations, or one for each.

        Returns:
            The answers in the order of the conversations.

        Raises:
            UsageError: A sampling is invalid, the numbers of samplings and conversations differ, or
                a prompt is too long or empty. Then nothing is generated.
            LlmopsError: A conversation does not fit into memory even alone.

        Example:
            from llmops.flavor import load_model
            from llmops.records import Sampling

            bot = load_model("models:/bot@champion")
            messages = [{"role": "user", "content": "What is a KV cache?"}]
            (answer,) = bot.generate([messages], Sampling(max_tokens=64))
            print(answer.text)
        """
        if isinstance(sampling, Sampling):
            sampling = [sampling] * len(conversations)
        if len(sampling) != len(conversations):
            raise UsageError(
                f"{len(sampling)} samplings for {len(conversations)} conversations;"
                " allowed: one for all, or one for each"
            )
        requests = [
            Request(self.files, messages, each, key)
            for key, (messages, each) in enumerate(zip(conversations, sampling, strict=True))
        ]
        answers: dict[Key, Answer] = {}
        with closing(self.engine.answer(requests)) as results:
            for key, answer in results:
                if answer.error is not None:
                    raise UsageError(answer.error)
                answers[key] = answer
        return [answers[request.key] for request in requests]

    def stream(self, messages: Messages | str, sampling: Sampling) -> Generator[str | Answer]:
        """Yield pieces of text while they are generated, then the complete answer.

        Args:
            messages: Messages with ``role`` and ``content``, or a text to continue.
            sampling: Maximum length in tokens, temperature, top-p, seed and stop strings.

        Yields:
            Pieces that concatenate to the answer's text, then the ``Answer``.

        Raises:
            UsageError: The sampling is invalid, or the prompt is too long or empty.
            LlmopsError: The generation failed.
        """
        return self.engine.stream(Request(self.files, messages, sampling))

    def predict(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Answer all rows, in batches of similar length.

        Args:
            data: A chat request (``{"messages": […]}``); a list of prompts, requests or
                conversations; or a DataFrame with a column ``messages`` or ``prompt``. A row may
                contain ``max_tokens``, ``temperature``, ``top_p``, ``n``, ``seed`` and ``stop``.
            params: Defaults of these parameters for rows without them.

        Returns:
            A ``chat.completion`` in OpenAI's format for a chat request; a list of them for any other
            data.

        Raises:
            UsageError: A row contains neither messages nor a prompt, or an unknown or invalid
                parameter; or a prompt is too long.
            LlmopsError: A row does not fit into memory even alone.
        """
        requests = rows.read(data, params)
        conversations = [r.prompt for r in requests for _ in r.samplings]
        samplings = [sampling for r in requests for sampling in r.samplings]
        answers = iter(self.generate(conversations, samplings))
        uri = self.files.uri
        replies = [Reply(uri).whole([next(answers) for _ in r.samplings]) for r in requests]
        return replies[0] if isinstance(data, Mapping) else replies

    def predict_stream(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Stream the answer to one row as ``chat.completion.chunk`` objects.

        Args:
            data: One row; see ``predict``.
            params: See ``predict``.

        Yields:
            The chunks in OpenAI's format.

        Raises:
            UsageError: The data contain more than one row or request more than one answer, or
                ``predict`` would refuse them.
        """
        request = rows.read_one(data, params)
        pieces = self.stream(request.prompt, request.samplings[0])
        return Reply(self.files.uri).chunks(pieces, include_usage=request.include_usage)


def load_model(model_uri: str, **options: Any) -> LoadedModel:
    """Load a version into memory after checking its files against their digests.

    Args:
        model_uri: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, ``models:/m-…``, ``runs:/…``, or
            a directory that ``save_model`` wrote.
        **options: Fields of ``llmops.records.LoadOptions``: ``dtype``, ``device``, ``attention``,
            ``quantization``, ``base``.

    Returns:
        The version, ready to generate.

    Raises:
        NotFoundError: The version does not exist, or its base model is not available.
        IntegrityError: A file differs from its digest, or the adapter does not fit its base model.
        UsageError: An option is unknown, or not supported on this machine.
        LlmopsError: The device has too little memory.

    Example:
        from llmops.flavor import load_model

        bot = load_model("models:/bot@champion", dtype="bfloat16")
        reply = bot.predict({"messages": [{"role": "user", "content": "What is a KV cache?"}]})
    """
    (model,) = load_models([model_uri], **options)
    return model


def load_models(model_uris: Sequence[str], **options: Any) -> list[LoadedModel]:
    """Load versions of one base model together, so that the base model is in memory once.

    Args:
        model_uris: URIs or directories; see ``load_model``.
        **options: See ``load_model``.

    Returns:
        The versions in the given order; they share an engine, which batches their requests together.

    Raises:
        NotFoundError: A version does not exist, or its base model is not available.
        IntegrityError: A file differs from its digest, or an adapter does not fit its base model.
        UsageError: The versions have different base models, or an option is unknown or not
            supported on this machine.
        LlmopsError: The device has too little memory.

    Example:
        from llmops.flavor import load_models

        old, new = load_models(["models:/bot/1", "models:/bot/2"])
        prompt = {"messages": [{"role": "user", "content": "What is a KV cache?"}]}
        print(old.predict(prompt), new.predict(prompt))
    """
    chosen = load_options.read(options, "load_model")
    sides = [resolve(uri, chosen) for uri in model_uris]
    for side in sides:
        versions.warn_of_other_bytes(side)
    engine = open_engine("local", sides, chosen)
    return [LoadedModel(side, engine) for side in sides]
