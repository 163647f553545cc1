"""MLflow's ``python_function``: chat messages, prompts or DataFrames in, OpenAI's shape out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from llmops.engine.local import LocalEngine
from llmops.engine.resolve import of_model_dir
from llmops.errors import UsageError
from llmops.flavor import requests
from llmops.flavor.load import LoadedModel
from llmops.records import Answer, LoadOptions


class PyfuncModel:
    """What ``mlflow.pyfunc.load_model`` wraps.

    Args:
        model: The version.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def predict(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Answers every row, all of them in batches of similar length.

        Args:
            data: One chat request (``{"messages": […]}``), a list of prompts, of requests or of
                conversations, or a DataFrame with a column ``messages`` or ``prompt``. A row may
                carry ``max_tokens``, ``temperature``, ``top_p``, ``n``, ``seed`` and ``stop``.
            params: The same parameters, for rows that do not carry them.

        Returns:
            A ``chat.completion`` for one chat request, a list of them for anything else.

        Raises:
            UsageError: Neither messages nor prompts, or an unknown parameter.
        """
        rows = requests.read(data, params)
        conversations = [row.messages for row in rows for _ in row.samplings]
        samplings = [sampling for row in rows for sampling in row.samplings]
        answers = iter(self.model.generate(conversations, samplings))
        name = self.model.files.uri
        done = [_completion([next(answers) for _ in row.samplings], name) for row in rows]
        return done[0] if isinstance(data, Mapping) else done

    def predict_stream(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Streams one row as ``chat.completion.chunk`` objects.

        Args:
            data: One row, see ``predict``.
            params: See ``predict``.

        Raises:
            UsageError: More than one row or answer, or what ``predict`` refuses.
        """
        rows = requests.read(data, params)
        if len(rows) != 1 or len(rows[0].samplings) != 1:
            raise UsageError("predict_stream answers one row with n=1; use predict for several")
        identity = _identity(self.model.files.uri)
        for piece in self.model.stream(rows[0].messages, rows[0].samplings[0]):
            done = isinstance(piece, Answer)
            choice = {
                "index": 0,
                "delta": {} if done else {"content": piece},
                "finish_reason": piece.finish_reason if isinstance(piece, Answer) else None,
            }
            yield {**identity, "object": "chat.completion.chunk", "choices": [choice]}


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> PyfuncModel:
    """Called by MLflow with the model's directory and what ``model_config`` came to."""
    options = _options(model_config or {})
    files = of_model_dir(Path(path), options)
    return PyfuncModel(LoadedModel(files, LocalEngine([files], options=options)))


def _options(config: Mapping[str, Any]) -> LoadOptions:
    allowed = [field.name for field in fields(LoadOptions)]
    unknown = sorted(set(config) - set(allowed))
    if unknown:
        raise UsageError(
            f"model_config: unknown {', '.join(unknown)}; allowed: {', '.join(allowed)}"
        )
    return LoadOptions(**config)


def _identity(model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}


def _completion(answers: list[Answer], model: str) -> dict[str, Any]:
    prompt, completion = answers[0].prompt_tokens, sum(answer.tokens for answer in answers)
    return {
        **_identity(model),
        "object": "chat.completion",
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": answer.finish_reason,
            }
            for index, answer in enumerate(answers)
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }
