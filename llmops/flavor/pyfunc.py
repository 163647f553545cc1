"""Loading: natively as an engine with its side, or as MLflow's ``python_function``."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmops.engine.local import LocalEngine
from llmops.engine.resolve import of_model_dir
from llmops.errors import UsageError
from llmops.records import Answer, Message, ModelFiles, Sampling

PARAMETERS = ("max_tokens", "temperature", "top_p", "seed", "stop")


class LoadedModel:
    """One version in memory.

    Args:
        files: Verified files of the version.
        dtype: See ``LocalEngine``.
    """

    def __init__(self, files: ModelFiles, *, dtype: str = "auto") -> None:
        self.files = files
        self.engine = LocalEngine([files], dtype=dtype)

    def generate(self, conversations: list[list[Message]], sampling: Sampling) -> list[Answer]:
        """Answers conversations in batches."""
        return self.engine.generate(self.files, conversations, sampling)

    def stream(self, messages: list[Message], sampling: Sampling) -> Iterator[str | Answer]:
        """Yields pieces of text, then the whole answer."""
        return self.engine.stream(self.files, messages, sampling)


class PyfuncModel:
    """What ``mlflow.pyfunc.load_model`` wraps: chat messages or prompts in, OpenAI's shape out."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Answers each row.

        Args:
            data: A DataFrame with a column ``messages`` or ``prompt``, a list of prompts, or one
                chat request (``{"messages": […]}``).
            params: ``max_tokens``, ``temperature``, ``top_p``, ``seed``, ``stop`` for all rows.

        Returns:
            One ``chat.completion`` for each row.

        Raises:
            UsageError: Neither messages nor prompts, or an unknown parameter.
        """
        requests = _requests(data, params)
        answers: dict[int, Answer] = {}
        for sampling in dict.fromkeys(sampling for _, sampling in requests):
            rows = [i for i, (_, wanted) in enumerate(requests) if wanted == sampling]
            done = self.model.generate([requests[i][0] for i in rows], sampling)
            answers.update(zip(rows, done, strict=True))
        return [_completion(answers[i], self.model.files.uri) for i in range(len(requests))]

    def predict_stream(
        self, data: Any, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Streams one row as ``chat.completion.chunk`` objects."""
        ((messages, sampling),) = _requests(data, params)
        identity = _identity(self.model.files.uri)
        for piece in self.model.stream(messages, sampling):
            done = isinstance(piece, Answer)
            choice = {
                "index": 0,
                "delta": {} if done else {"content": piece},
                "finish_reason": piece.finish_reason if isinstance(piece, Answer) else None,
            }
            yield {**identity, "object": "chat.completion.chunk", "choices": [choice]}


def load_model(model_uri: str, *, dtype: str = "auto") -> LoadedModel:
    """Loads a version natively.

    Args:
        model_uri: ``models:/name/version``, ``models:/name@alias``, ``runs:/…`` or a directory.
        dtype: See ``LocalEngine``.

    Returns:
        The model, checked against its digests.
    """
    from llmops.registry import download

    directory = Path(model_uri)
    if not directory.is_dir():
        import tempfile

        directory = Path(download(model_uri, tempfile.mkdtemp(prefix="llmops-")))
    return LoadedModel(of_model_dir(directory), dtype=dtype)


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> PyfuncModel:
    """Called by MLflow with the model's directory."""
    dtype = str((model_config or {}).get("dtype") or "auto")
    return PyfuncModel(LoadedModel(of_model_dir(Path(path)), dtype=dtype))


def _requests(data: Any, params: Mapping[str, Any] | None) -> list[tuple[list[Message], Sampling]]:
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        rows: list[Any] = data.to_dict(orient="records")
    elif isinstance(data, (dict, str)):
        rows = [data]
    else:
        rows = list(data)
    return [_request(row, params or {}) for row in rows]


def _request(row: Any, params: Mapping[str, Any]) -> tuple[list[Message], Sampling]:
    """Messages and sampling of one row; a row's own parameters win."""
    if isinstance(row, str):
        row = {"prompt": row}
    options = {**params, **{key: row[key] for key in PARAMETERS if row.get(key) is not None}}
    unknown = sorted(set(options) - set(PARAMETERS))
    if unknown:
        raise UsageError(
            f"unknown parameter {', '.join(unknown)}; allowed: {', '.join(PARAMETERS)}"
        )
    if "stop" in options:
        stop = options["stop"]
        options["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    if row.get("messages") is not None:
        messages = [dict(message) for message in row["messages"]]
    elif row.get("prompt") is not None:
        messages = [{"role": "user", "content": str(row["prompt"])}]
    else:
        raise UsageError(f"a row needs `messages` or `prompt`, received {sorted(row)}")
    return messages, Sampling(**options)


def _identity(model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}


def _completion(answer: Answer, model: str) -> dict[str, Any]:
    return {
        **_identity(model),
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": answer.finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.tokens,
            "total_tokens": answer.prompt_tokens + answer.tokens,
        },
    }
