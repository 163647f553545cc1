"""The vLLM engine: a server on loopback with one base model and its adapters, used over HTTP.

It gives the same answers as ``LocalEngine``, faster on a GPU. Requests name the model by its
digest, so an answer always comes from the exact bytes of its side.
"""

from __future__ import annotations

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
from llmops.engine.vllm.arguments import (
    adapter_arguments,
    base_arguments,
    dtype_of,
    module,
)
from llmops.engine.vllm.environment import find_environment
from llmops.engine.vllm.memory import memory_arguments
from llmops.engine.vllm.process import START_SECONDS, Server
from llmops.errors import UsageError, rephrased
from llmops.models import vllm_limits
from llmops.records import Answer, Likelihood, LoadOptions, ModelFiles, Side

CONCURRENCY = 64
"""Default maximum number of requests in flight; vLLM batches them itself."""
DEFAULTS = LoadOptions()
ANSWER_SECONDS = 3600.0
"""Maximum seconds for one answer. CPUs are slow, and an abandoned request continues in the server."""
RETRIES = 2


class VllmEngine(Engine):
    """A vLLM server that is ready to answer; ``close`` it, or use it in a ``with`` statement.

    Args:
        sides: The sides to load, which must share one base model.
        python: Interpreter of the environment with vLLM; see ``find_environment``.
        options: Only ``dtype`` may be set; ``auto`` is float32 on CPU, bfloat16 elsewhere. All other
            settings go through ``arguments``.
        room: Number of adapters that may be added later with ``load_adapter``.
        rank: Highest rank of these adapters; by default the highest rank of the sides.
        arguments: Further arguments of vLLM's server, such as ``--gpu-memory-utilization=0.5``.
        seconds: Maximum seconds until the server is ready.

    Attributes:
        version: Version of vLLM.
        log: Log file of the server; deleted at the end unless the server failed.

    Raises:
        UsageError: The sides have different base models, vLLM cannot serve one of them as it is, or
            an unsupported option is set.
        NotFoundError: No environment with vLLM exists on this machine.
        ServeError: The server does not start.

    Example:
        from llmops.engine import Request
        from llmops.engine.vllm import VllmEngine
        from llmops.models import resolve
        from llmops.records import Sampling

        side = resolve("models:/bot@champion")
        messages = [{"role": "user", "content": "What does os.path.split do?"}]
        with VllmEngine([side]) as engine:
            for key, answer in engine.answer([Request(side, messages, Sampling(), key="q1")]):
                print(key, answer.text)
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
                "the engine `vllm` takes only the option dtype;"
                " received attention, device or quantization",
                next_command="pass arguments of vLLM's server: VllmEngine(…, arguments=[…])",
            )
        files = files_of(sides)
        self._base, self._room = common_base(files), room
        self._rank = vllm_limits.vllm_rank(max([rank, *map(_rank, files)]))
        tuned = {side.digest: side.adapter_dir for side in files if side.adapter_dir is not None}
        environment = find_environment(python)
        self.version = environment.version
        dtype = dtype_of(environment, options.dtype)
        given = base_arguments(self._base, dtype, [self._base.digest])
        given += memory_arguments(environment, self._base, dtype, arguments)
        if tuned or room:
            given += adapter_arguments(environment, len(tuned) + room, self._rank)
        if tuned:
            given += ["--lora-modules", *(module(*one) for one in tuned.items())]
        self._key = secrets.token_urlsafe(24)
        names = [self._base.digest, *tuned]
        self._server = Server(
            environment, [*given, *arguments], names=names, key=self._key, seconds=seconds
        )
        self.log, self._closed = self._server.log, False
        self._models = {name: self._client(name) for name in names}

    @property
    def capabilities(self) -> Capabilities:
        """Streaming only; the context length is unknown. See ``Engine``."""
        return Capabilities(likelihood=False, stream=True, completion=False)

    def answer(
        self, requests: Sequence[Request], *, batch_size: int | None = None
    ) -> Generator[tuple[Key, Answer]]:
        """Answer requests to one or more sides, all in flight together; see ``Engine``.

        Args:
            requests: Conversations, each with its side, its sampling and a unique key.
            batch_size: Maximum number of requests in flight, 64 by default.

        Raises:
            UsageError: See ``Engine``; or a request contains a text to continue.
            ServeError: The server ended.
        """
        check_requests(requests)
        self._check(requests)
        return concurrently(requests, self._ask, batch_size or CONCURRENCY)

    def stream(self, request: Request) -> Generator[str | Answer]:
        """Yield pieces of text, then the answer; see ``Engine``.

        Raises:
            UsageError: See ``Engine``; or the request contains a text to continue.
            ServeError: The server ended, or broke off the answer.
        """
        check_requests([request])
        self._check([request])
        yield from self._models[request.side.digest].stream(chat_of(request), request.sampling)

    def likelihood(self, turns: Sequence[Turn]) -> Generator[tuple[Key, Likelihood | None]]:
        """Refuse: the protocol cannot compute the likelihood of a given answer.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            "the engine `vllm` computes no likelihoods", next_command="use the engine `local`"
        )

    def load_adapter(self, side: ModelFiles) -> None:
        """Load another adapter of the same base model while the server runs.

        Args:
            side: The adapter; nothing happens if it is loaded already.

        Raises:
            UsageError: The adapter has another base model or too high a rank, the server has no
                room for it, or vLLM cannot serve it.
            LlmopsError: vLLM refuses the adapter.
            ServeError: The server ended.
        """
        if side.digest in self._models:
            return
        common_base([side, ModelFiles("base", self._base.uri, self._base, None, None, None)])
        rank = _rank(side)
        if rank > self._rank:
            raise UsageError(
                f"{side.uri}: has rank {rank}; this server takes rank {self._rank} at most"
            )
        if self._room < 1:
            raise UsageError(
                f"{side.uri}: this server has no room for another adapter",
                next_command="open the engine with a larger room: VllmEngine(…, room=1)",
            )
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
            raise UsageError("the engine is closed; open a new one")
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
                self._server.check_answers()  # its error quotes the log
                raise server_gone(client.endpoint, outage)
        return answer


def _rank(side: ModelFiles) -> int:
    """Return the rank of a side's adapter, 0 without an adapter.

    Raises:
        UsageError: vLLM would refuse the side, or answer differently from it.
    """
    reason = vllm_limits.unservable_files(side.adapter_dir, side.tokenizer_dir)
    if reason is not None:
        raise UsageError(
            f"{side.uri}: vLLM cannot serve it: {reason}",
            next_command=f"llmops export {side.uri} DIRECTORY --format merged, or use the engine `local`",
        )
    return vllm_limits.rank_of(side.adapter_dir)
