"""The vLLM engine: a server on loopback with one base model and its adapters, asked over HTTP.

It answers what ``LocalEngine`` answers, faster on a GPU. Requests name a model by its digest, so
an answer cannot come from other bytes than those of its side.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType

from llmops.engine.openai.client import ChatClient
from llmops.engine.openai.endpoint import Endpoint
from llmops.engine.openai.engine import chat_of, server_gone
from llmops.engine.openai.parallel import concurrently
from llmops.engine.protocol import Capabilities, Engine
from llmops.engine.requests import Key, Request, Turn, check_requests
from llmops.engine.sides import common_base, files_of
from llmops.engine.vllm.process import Environment, Server, find_environment
from llmops.errors import UsageError, rephrased
from llmops.models import adapters, generation_config, safety, vllm_limits
from llmops.records import Answer, Likelihood, LoadOptions, ModelFiles, Side

CONCURRENCY = 64
"""Requests at once, if nobody says otherwise; vLLM puts them into batches itself."""
DEFAULTS = LoadOptions()
START_SECONDS = 600.0
ANSWER_SECONDS = 3600.0
"""For one answer: a CPU is slow, and an attempt given up here would go on over there."""
RETRIES = 2
EMPTY_SLOTS = 1
"""On a CPU vLLM computes prompts of the base with its last slot, if adapters are in the same batch
(vllm#48421): it must be empty, and adapters take the first ones."""


class VllmEngine(Engine):
    """A vLLM server that is ready to answer; ``close`` it, or use it in a ``with``.

    Args:
        sides: What to load; all must share one base.
        python: Interpreter of the environment that has vLLM; see ``find_environment``.
        options: Their ``dtype``; ``auto`` is float32 on CPU, bfloat16 elsewhere. vLLM decides the
            rest by its own ``arguments``.
        room: Adapters that may come later, by ``load_adapter``.
        rank: Their highest rank; by default that of the sides.
        arguments: Further ones of vLLM's server, such as ``--gpu-memory-utilization=0.5``.
        seconds: To become ready.

    Attributes:
        version: Of vLLM.
        log: What the server writes; removed at the end unless it failed.

    Raises:
        UsageError: The sides have different bases, vLLM cannot serve one of them as it is, or an
            option is set that it does not have.
        NotFoundError: There is no vLLM.
        ServeError: The server did not start.
    """

    def __init__(
        self,
        sides: Sequence[Side],
        python: Path | None = None,
        *,
        options: LoadOptions = DEFAULTS,
        room: int = 0,
        rank: int = 0,
        arguments: Sequence[str] = (),
        seconds: float = START_SECONDS,
    ) -> None:
        if options != LoadOptions(dtype=options.dtype, base=options.base):
            raise UsageError(
                "the engine `vllm` has the option dtype; received attention, device or quantization",
                next_command="VllmEngine(…, arguments=[…]) with arguments of vLLM's server",
            )
        files = files_of(sides)
        self._base, self._room = common_base(files), room
        self._rank = vllm_limits.vllm_rank(max([rank, *map(_rank, files)]))
        tuned = {side.digest: side for side in files if side.adapter_dir is not None}
        environment = find_environment(python)
        self.version = environment.version
        given = self._base_arguments(environment, options.dtype)
        if tuned or room:
            slots = len(tuned) + room + (EMPTY_SLOTS if environment.cpu else 0)
            given += ["--enable-lora", "--max-lora-rank", str(self._rank)]
            given += ["--max-loras", str(slots)]
        if tuned:
            given += ["--lora-modules", *map(_module, tuned.values())]
        self._key = secrets.token_urlsafe(24)
        names = [self._base.digest, *tuned]
        self._server = Server(
            environment, [*given, *arguments], names=names, key=self._key, seconds=seconds
        )
        self.log, self._closed = self._server.log, False
        self._models = {name: self._client(name) for name in names}

    def _base_arguments(self, environment: Environment, dtype: str) -> list[str]:
        """Return what tells the server which base to load, and how."""
        if dtype == "auto":
            dtype = "float32" if environment.cpu else "bfloat16"
        return [
            *("--model", str(self._base.directory), "--served-model-name", self._base.digest),
            *("--dtype", dtype, *_generation(self._base.directory)),
            *("--uvicorn-log-level", "warning"),
        ]

    @property
    def capabilities(self) -> Capabilities:
        """See ``Engine``."""
        return Capabilities(likelihood=False, stream=True, completion=False)

    def answer(
        self, requests: Sequence[Request], *, batch_size: int | None = None
    ) -> Generator[tuple[Key, Answer]]:
        """Answer requests to one side or several; all are on their way together. See ``Engine``.

        Args:
            requests: Each names its side, its conversation and its sampling.
            batch_size: Requests at once at most.

        Raises:
            UsageError: See ``Engine``; or a text is to be continued.
            ServeError: The server ended.
        """
        check_requests(requests)
        self._check(requests)
        return concurrently(requests, self._ask, batch_size or CONCURRENCY)

    def stream(self, request: Request) -> Generator[str | Answer]:
        """Yield pieces of text, then the answer; see ``Engine``.

        Raises:
            ServeError: The server ended, or broke the answer off.
        """
        check_requests([request])
        self._check([request])
        yield from self._models[request.side.digest].stream(chat_of(request), request.sampling)

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Refuse: a server gives answers, not the likelihood of one."""
        raise UsageError(
            "the engine `vllm` computes no likelihoods", next_command="the engine `local`"
        )

    def load_adapter(self, side: ModelFiles) -> None:
        """Loads a further adapter of the same base while the server runs.

        Raises:
            UsageError: It has another base or a higher rank, there is no room, or vLLM cannot
                serve it.
            LlmopsError: vLLM refuses it.
        """
        if side.digest in self._models:
            return
        common_base([side, ModelFiles("base", self._base.uri, self._base, None, None, None)])
        rank = _rank(side)
        if rank > self._rank:
            raise UsageError(
                f"{side.uri}: has rank {rank}, the server was started for {self._rank}"
            )
        if self._room < 1:
            raise UsageError(f"{side.uri}: the server was started with no room for it")
        body = {"lora_name": side.digest, "lora_path": str(side.adapter_dir)}
        with rephrased(lambda message: f"{side.uri}: {message}"):
            self._server.post("/v1/load_lora_adapter", body)
        self._room -= 1
        self._models[side.digest] = self._client(side.digest)

    def close(self) -> None:
        """End the server."""
        self._closed = True
        self._server.close()

    def __enter__(self) -> VllmEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _client(self, name: str) -> ChatClient:
        endpoint = Endpoint(f"{self._server.address}/v1", name)
        return ChatClient(endpoint, key=self._key, timeout=ANSWER_SECONDS, retries=RETRIES)

    def _check(self, requests: Sequence[Request]) -> None:
        if self._closed:
            raise UsageError("the engine is closed: open another one")
        for request in requests:
            if request.side.digest not in self._models:
                raise UsageError(f"{request.side.uri}: this server has not loaded it")
            chat_of(request)

    def _ask(self, request: Request) -> Answer:
        client = self._models[request.side.digest]
        answer = client.answer(chat_of(request), request.sampling)
        if answer.error is not None:
            outage = client.outage(request.sampling)
            if outage is not None:
                self._server.check_answers()  # it knows the server's last words
                raise server_gone(client.endpoint, outage)
        return answer


def _rank(side: ModelFiles) -> int:
    """An adapter's rank, 0 without one.

    Raises:
        UsageError: vLLM would refuse the side, or answer otherwise than it does.
    """
    merged = f"llmops export {side.uri} DIRECTORY --format merged, or the engine `local`"
    if side.tokenizer_dir is not None:
        raise UsageError(
            f"{side.uri}: has a tokenizer, chat template or generation configuration of its own;"
            " a vLLM server has those of its base for all",
            next_command=merged,
        )
    if side.adapter_dir is None:
        return 0
    config = safety.read_json(side.adapter_dir / adapters.CONFIG)
    reason = vllm_limits.unservable(config)
    if reason is not None:
        raise UsageError(f"{side.uri}: vLLM cannot serve it: {reason}", next_command=merged)
    return int(config["r"])


def _generation(base: Path) -> list[str]:
    """Only what ``LocalEngine`` reads of ``generation_config.json``; the request says the rest."""
    settings = generation_config.of_model(base)
    if settings.suppressed:
        raise UsageError(
            f"{base / generation_config.FILE}: sets suppress_tokens, which vLLM does not do",
            next_command="the engine `local`",
        )
    given = ["--generation-config", "vllm"]
    if settings.repetition_penalty != 1.0:
        penalty = {"repetition_penalty": settings.repetition_penalty}
        given += ["--override-generation-config", json.dumps(penalty)]
    return given


def _module(side: ModelFiles) -> str:
    return json.dumps({"name": side.digest, "path": str(side.adapter_dir)})
