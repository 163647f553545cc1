"""Smoke test of a version: deploy it, ask for a whole and a streamed answer, delete it."""

from __future__ import annotations

import os
import secrets

import psutil

from llmops.errors import ServeError
from llmops.progress import say
from llmops.records import Answer, Sampling
from llmops.serve.deployment.client import ask
from llmops.serve.deployment.listing import list_all
from llmops.serve.deployment.process import create, delete

STEM = 100
"""Characters of the recipe's name that are kept: names of deployments are limited."""


def smoke_test(name: str, uri: str, prompt: str, sampling: Sampling) -> str:
    """Check that a version can be served: deploy it, ask, and delete the deployment.

    Args:
        name: Start of the deployment's name, ``NAME-trial-PID``, which is unique.
        uri: URI of the version.
        prompt: The question.
        sampling: Answer length and temperature; with temperature 0 both answers must be equal.

    Returns:
        The answer.

    Raises:
        ServeError: The server does not start, the answer is empty, or the streamed answer differs.
        LlmopsError: See ``create`` for the other errors.

    Example:
        from llmops.records import Sampling
        from llmops.serve import smoke_test

        print(smoke_test("bot", "models:/bot@champion", "Hello", Sampling(max_tokens=16)))
    """
    _end_abandoned(name[:STEM])
    key = secrets.token_urlsafe()  # whatever keys this machine has: nobody else may ask
    deployment = create(f"{name[:STEM]}-trial-{os.getpid()}", uri, key=key, traces=False)
    try:
        messages = [{"role": "user", "content": prompt}]
        whole = ask(deployment, messages, sampling, key=key).text
        pieces = ask(deployment, messages, sampling, stream=True, key=key)
        streamed = "".join(piece for piece in pieces if not isinstance(piece, Answer))
    finally:
        delete(deployment.name)
    if not whole.strip():
        raise ServeError(f"{uri}: the answer to {prompt!r} is empty")
    if sampling.temperature == 0 and streamed != whole:
        raise ServeError(f"{uri}: answered {whole!r}, but streamed {streamed!r}")
    say(f"serve: {deployment.model} answered at {deployment.endpoint}, whole and streamed")
    return whole


def _end_abandoned(stem: str) -> None:
    """Delete trial deployments that a killed process left running."""
    for deployment in list_all():
        name, _, parent = deployment.name.rpartition("-trial-")
        if name == stem and parent.isdigit() and not psutil.pid_exists(int(parent)):
            delete(deployment.name)
