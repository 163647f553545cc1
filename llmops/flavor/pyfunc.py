"""MLflow's ``python_function``: chat messages, prompts or DataFrames in, OpenAI's shape out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmops.engine import options as load_options
from llmops.engine.local import LocalEngine
from llmops.engine.resolve import of_model_dir
from llmops.errors import UsageError
from llmops.flavor import requests
from llmops.flavor.load import LoadedModel
from llmops.records import Answer


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
            MlflowException: Neither messages nor prompts, an unknown parameter, or a conversation
                that does not fit the model; the scoring server answers it with status 400.
        """
        with _refusals():
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
            MlflowException: More than one row or answer, or what ``predict`` refuses.
        """
        identity = _identity(self.model.files.uri)
        with _refusals():
            row = requests.read_one(data, params)
            for piece in self.model.stream(row.messages, row.samplings[0]):
                done = isinstance(piece, Answer)
                choice = {
                    "index": 0,
                    "delta": {} if done else {"content": piece},
                    "finish_reason": piece.finish_reason if isinstance(piece, Answer) else None,
                }
                yield {**identity, "object": "chat.completion.chunk", "choices": [choice]}


@contextmanager
def _refusals() -> Iterator[None]:
    """MLflow shows a caller the words of its own exception only; the scoring server hides others."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except UsageError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from error


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> PyfuncModel:
    """Called by MLflow with the model's directory and what ``model_config`` came to."""
    options = load_options.read(model_config or {}, "model_config")
    files = of_model_dir(Path(path), options)
    return PyfuncModel(LoadedModel(files, LocalEngine([files], options=options)))


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
