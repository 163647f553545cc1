"""A trial: start, ask once whole and once streamed, stop, whatever happens."""

from __future__ import annotations

import os

import psutil

from llmops.errors import ServeError
from llmops.progress import say
from llmops.records import Answer, Sampling
from llmops.serve.deployment.client import ask
from llmops.serve.deployment.process import create, delete
from llmops.serve.deployment.state import list_all

STEM = 100
"""Characters of the name that are kept: names of deployments are limited."""


def smoke_test(name: str, uri: str, prompt: str, sampling: Sampling) -> str:
    """Proves that a version serves.

    Args:
        name: The deployment is called ``<name>-trial-<process>``, so that it meets no other.
        uri: The version.
        prompt: The question.
        sampling: Greedy sampling lets the two answers be compared.

    Returns:
        The answer.

    Raises:
        ServeError: It does not start, answers nothing, or streams something else.
    """
    _end_abandoned(name[:STEM])
    deployment = create(f"{name[:STEM]}-trial-{os.getpid()}", uri)
    try:
        messages = [{"role": "user", "content": prompt}]
        whole = ask(deployment, messages, sampling).text
        pieces = ask(deployment, messages, sampling, stream=True)
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
    """Ends trials whose parent was killed before it could."""
    for deployment in list_all():
        name, _, parent = deployment.name.rpartition("-trial-")
        if name == stem and parent.isdigit() and not psutil.pid_exists(int(parent)):
            delete(deployment.name)
