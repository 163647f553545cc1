"""MLflow's signature of a version: the parameters of a request."""

from __future__ import annotations

from typing import Any


def default_signature() -> Any:
    """Return a signature that names the parameters and leaves the inputs free.

    MLflow drops every key of a chat request that a signature's inputs do not list, and turns
    lists of prompts into columns. A signature with parameters alone does neither. The length has no
    default here: it depends on the prompt, as at every other entry point.
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
