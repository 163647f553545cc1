"""The parameters of a request in MLflow's signature."""

from __future__ import annotations

from typing import Any


def default_signature() -> Any:
    """Return a signature that names the parameters and leaves the inputs free.

    MLflow drops every key of a chat request that a signature's inputs do not list, and turns
    lists of prompts into columns. Parameters alone do neither. A length without a default is
    decided when the prompt is known, as for every other entry point.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec

    return ModelSignature(
        params=ParamSchema(
            [
                ParamSpec("max_tokens", DataType.long, None),
                ParamSpec("max_completion_tokens", DataType.long, None),
                ParamSpec("temperature", DataType.double, 0.0),
                ParamSpec("top_p", DataType.double, 1.0),
                ParamSpec("n", DataType.long, 1),
                ParamSpec("seed", DataType.long, None),
                ParamSpec("stop", DataType.string, [], shape=(-1,)),
            ]
        )
    )
