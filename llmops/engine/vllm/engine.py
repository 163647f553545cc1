"""The vLLM engine: a server on loopback with one base model and its adapters, asked over HTTP.

It answers what ``LocalEngine`` answers, faster on a GPU. Requests name a model by its digest, so
an answer cannot come from other bytes than those of its side.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import TracebackType

from llmops.engine import requests
from llmops.engine.local.engine import common_base
from llmops.engine.local.scheduler import OnBatch
from llmops.engine.openai.engine import Endpoint, HttpEngine
from llmops.engine.requests import Request
from llmops.engine.vllm.process import Server, find_environment
from llmops.errors import ServeError, UsageError, rephrased
from llmops.models import adapters, generation_config, safety, vllm_limits
from llmops.records import Answer, ModelFiles

CONCURRENCY = 64
"""Requests at once, if nobody says otherwise; vLLM puts them into batches itself."""
START_SECONDS = 600.0
ANSWER_SECONDS = 3600.0
"""For one answer: a CPU is slow, and an attempt given up here would go on over there."""
RETRIES = 2
EMPTY_SLOTS = 1
"""On a CPU vLLM computes prompts of the base with its last slot, if adapters are in the same batch
(vllm#48421): it must be empty, and adapters take the first ones."""


class VllmEngine:
    """A vLLM server that is ready to answer; ``close`` it, or use it in a ``with``.

    Args:
        sides: What to load; all must share one base.
        python: Interpreter of the environment that has vLLM; see ``find_environment``.
        dtype: Of the weights; ``auto`` is float32 on CPU, bfloat16 elsewhere, as in ``LoadOptions``.
        room: Adapters that may come later, by ``load_adapter``.
        rank: Their highest rank; by default that of the sides.
        arguments: Further ones of vLLM's server, such as ``--gpu-memory-utilization=0.5``.
        seconds: To become ready.

    Attributes:
        version: Of vLLM.
        log: What the server writes; removed at the end unless it failed.

    Raises:
        UsageError: The sides have different bases, or vLLM cannot serve one of them as it is.
        NotFoundError: There is no vLLM.
        ServeError: The server did not start.
    """

    def __init__(
        self,
        sides: Sequence[ModelFiles],
        python: Path | None = None,
        *,
        dtype: str = "auto",
        room: int = 0,
        rank: int = 0,
        arguments: Sequence[str] = (),
        seconds: float = START_SECONDS,
    ) -> None:
        self._base = common_base(sides)
        self._rank = vllm_limits.vllm_rank(max([rank, *map(_rank, sides)]))
        tuned = {side.digest: side for side in sides if side.adapter_dir is not None}
        self._room = room
        environment = find_environment(python)
        self.version = environment.version
        if dtype == "auto":
            dtype = "float32" if environment.cpu else "bfloat16"
        given = [
            *("--model", str(self._base.directory), "--served-model-name", self._base.digest),
            *("--dtype", dtype, *_generation(self._base.directory)),
            *("--uvicorn-log-level", "warning"),
        ]
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
        self.log = self._server.log
        self._models = {name: self._model(name) for name in names}

    def generate_many(
        self,
        asked: Sequence[Request],
        *,
        batch_size: int | None = None,
        on_batch: OnBatch[Answer] | None = None,
    ) -> list[Answer]:
        """Answers requests to one side or several; all are on their way together.

        Args:
            asked: Each names its side, its conversation and its sampling.
            batch_size: Requests at once at most.
            on_batch: Called with the index and answer of each as it comes, in this thread.

        Returns:
            Answers in the order of the requests. One that the server refuses, such as of a prompt
            that is too long, is empty and has ``error`` set.

        Raises:
            UsageError: A sampling is invalid, a side is not loaded, or a text is to be continued.
            ServeError: The server ended.
        """
        for one in asked:
            self._check(one)
        answers: dict[int, Answer] = {}
        pool = ThreadPoolExecutor(batch_size or CONCURRENCY, thread_name_prefix="llmops-vllm")
        try:
            sent = {pool.submit(self._answer, one): i for i, one in enumerate(asked)}
            for future in as_completed(sent):
                i = sent[future]
                answers[i] = future.result()
                if on_batch is not None:
                    on_batch([i], [answers[i]])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return [answers[i] for i in range(len(asked))]

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
        self._models[side.digest] = self._model(side.digest)

    def close(self) -> None:
        """Ends the server."""
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

    def _model(self, name: str) -> HttpEngine:
        endpoint = Endpoint(f"{self._server.address}/v1", name)
        return HttpEngine(
            endpoint, key=self._key, concurrency=1, timeout=ANSWER_SECONDS, retries=RETRIES
        )

    def _check(self, request: Request) -> None:
        requests.check_sampling(request.sampling)
        if request.side.digest not in self._models:
            raise UsageError(f"{request.side.uri}: this server has not loaded it")
        if isinstance(request.messages, str):
            raise UsageError("vLLM is asked for answers to messages, not to continue a text")

    def _answer(self, request: Request) -> Answer:
        assert not isinstance(request.messages, str)
        model = self._models[request.side.digest]
        try:
            (answer,) = model.generate([request.messages], request.sampling)
        except ServeError:
            self._server.check_answers()  # it knows the server's last words
            raise
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
