"""An engine without a model: it echoes prompts, and notes what it was asked."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from llmops.engine import Capabilities, Engine, Key, Request, Turn
from llmops.recipe.engine_names import EngineEntry
from llmops.records import Answer, BaseModel, Likelihood, LoadOptions, ModelFiles, Side

BROKEN = "broken"
"""A prompt that no side answers."""
ENTRY = EngineEntry("echo_engine:EchoEngine", likelihood=True, in_process=True)
SERVER = EngineEntry("echo_engine:EchoEngine")
"""The same engine as a server that computes no likelihood."""


def side(label: str, base: str = "tiny") -> ModelFiles:
    record = BaseModel(base, f"models:/{base}/1", f"base-{base}", directory=None)  # type: ignore[arg-type]
    return ModelFiles(label, f"models:/bot/{label[1:]}", record, None, f"adapter-{label}", None)


def last(request: Request | Turn) -> str:
    message = request.messages[-1]
    return message if isinstance(message, str) else message["content"]


@dataclass
class EchoEngine(Engine):
    """Answers ``LABEL: PROMPT`` or ``LABEL#SEED: PROMPT``; longer labels make answers less likely."""

    sides: Sequence[Side]
    options: LoadOptions
    batches: list[list[str]] = field(default_factory=list)
    closed: bool = False
    opened: ClassVar[list[EchoEngine]] = []

    def __post_init__(self) -> None:
        EchoEngine.opened.append(self)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(likelihood=True, stream=False, completion=False)

    def answer(
        self, requests: Sequence[Request], *, batch_size: int | None = None
    ) -> Generator[tuple[Key, Answer]]:
        self.batches.append([f"{request.side.label} {last(request)}" for request in requests])
        for request in reversed(requests):  # the order of results is free
            seed = request.sampling.seed
            label = request.side.label if seed is None else f"{request.side.label}#{seed}"
            if last(request) == BROKEN:
                yield request.key, Answer("", 0, 0, "error", "too long")
            else:
                yield request.key, Answer(f"{label}: {last(request)}", 3, 3, "stop")

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        self.batches.append([f"{turn.side.label} {last(turn)}" for turn in turns])
        for turn in reversed(turns):
            fits = last(turn) != BROKEN
            yield turn.key, (-float(len(turn.response + turn.side.label)), 2) if fits else None

    def close(self) -> None:
        self.closed = True
