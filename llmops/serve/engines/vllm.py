"""A vLLM server as the engine behind a gateway: one base model, and adapters that come and go."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from llmops.engine.vllm import arguments, blank
from llmops.engine.vllm.environment import Environment, find_environment
from llmops.engine.vllm.memory import memory_arguments
from llmops.engine.vllm.process import START_SECONDS, Server
from llmops.errors import UsageError, rephrased
from llmops.models import generation_config, vllm_limits
from llmops.records import ModelFiles
from llmops.records.serving import Served
from llmops.serve.engines import verified
from llmops.serve.engines.merged import merge
from llmops.serve.engines.protocol import VLLM, EngineSettings

WAYS_OUT = "-C engine=local, or -C merged=true to serve one version merged into its base"
DRAIN_SECONDS = "8"
"""Seconds for answers in progress when the server is ended."""


class UnservableError(UsageError):
    """A version that vLLM would refuse, or for which it would answer differently."""


def check_servable(files: ModelFiles, settings: EngineSettings) -> None:
    """Refuse a version that vLLM would refuse, or for which it would answer differently.

    Raises:
        UnservableError: The message has the reason, the next command the ways out.
    """
    if generation_config.of_model(files.base.directory).suppressed:
        raise UnservableError(
            f"{files.uri}: vLLM cannot serve it: its base suppresses tokens (suppress_tokens)",
            next_command="-C engine=local",
        )
    reason = None if settings.merged else _unservable(files)
    if reason is not None:
        raise UnservableError(f"{files.uri}: vLLM cannot serve it: {reason}", next_command=WAYS_OUT)


class VllmProcess:
    """A vLLM server that has loaded one version; see ``EngineProcess``.

    Args:
        first: The version. A full model is its own base, and is served under both names.
        settings: How to start the server.
        seconds: Maximum seconds until it is ready.

    Attributes:
        base_digest: Digest of the base, also its name; of the merged model if settings say so.

    Raises:
        UsageError: vLLM cannot serve the version, or an argument is refused.
        NotFoundError: No environment with vLLM exists on this machine.
        IntegrityError: The version's bytes differ from their record.
        LlmopsError: Too little memory is free.
        ServeError: The server does not start; the message has the cause.
    """

    kind = VLLM

    def __init__(
        self, first: Served, settings: EngineSettings, *, seconds: float = START_SECONDS
    ) -> None:
        check_servable(first.files, settings)
        arguments.check_given(settings.arguments)
        verified.check(first.files)
        environment = find_environment(None if settings.python is None else Path(settings.python))
        dtype = arguments.value(settings.arguments, "--dtype") or arguments.dtype_of(environment)
        self._files = merge(first.files, dtype) if settings.merged else first.files
        self._merged = self._files is not first.files
        self.base_digest = self._files.base.digest
        self._slots = settings.adapters + 1  # both versions of a swap are loaded
        self._ranks = _ranks(self._files, settings)
        self._blank = environment.cpu and self._ranks > 0
        self._loaded = {first.name: first.files.digest}
        self._bytes = dict(self._loaded)
        self.key = secrets.token_urlsafe(24)
        self._server = Server(
            environment,
            [*self._arguments(first.name, environment, dtype, settings), *settings.arguments],
            names=[self.base_digest, first.name],
            key=self.key,
            seconds=seconds,
            folder=settings.folder,
        )
        self.address, self.log = self._server.address, self._server.log

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    def load(self, served: Served) -> None:
        """Load another version of the same base; nothing happens if it is loaded.

        Raises:
            UsageError: The version has another base, no adapter or too high a rank, vLLM cannot
                serve it, or there is no room.
            IntegrityError: Its bytes differ from their record, or its name stood for other bytes.
            LlmopsError: vLLM refuses the adapter.
            ServeError: The server does not answer.
        """
        files = served.files
        if self._bytes.setdefault(served.name, files.digest) != files.digest:
            raise UsageError(
                f"{served.name}: this engine has served other bytes under this name",
                next_command="log the model again, which makes a version of its own",
            )
        if served.name in self._loaded:
            return
        self._check_fits(served)
        verified.check(files)
        body = {"lora_name": served.name, "lora_path": str(files.adapter_dir)}
        self._keep_blank()
        with rephrased(_for(served)):
            self._server.post("/v1/load_lora_adapter", body)
        self._loaded[served.name] = files.digest

    def unload(self, name: str) -> None:
        """Forget a version; requests that name it are refused from now on.

        Raises:
            UsageError: It is the full model that this process was started for.
            ServeError: The server does not answer.
        """
        if name not in self._loaded:
            return
        if not self._ranks:
            raise UsageError(f"{name}: a full model stays loaded until its engine is closed")
        self._server.post("/v1/unload_lora_adapter", {"lora_name": name})
        del self._loaded[name]
        self._keep_blank()

    def check(self) -> None:
        """Check that the server and its engine process run.

        Raises:
            ServeError: It has ended; the message has the cause.
        """
        self._server.check_health()

    def close(self) -> None:
        """End the server after the answers in progress; closing it again does nothing."""
        self._server.close()

    def _arguments(
        self, name: str, environment: Environment, dtype: str, settings: EngineSettings
    ) -> list[str]:
        base, given = self._files.base, settings.arguments
        names = [self.base_digest] if self._ranks else [name, self.base_digest]
        found = arguments.base_arguments(base, dtype, names, settings.max_tokens)
        found += memory_arguments(environment, base, dtype, given, settings.memory)
        if self._ranks:
            found += arguments.adapter_arguments(environment, self._slots, self._ranks)
            found += ["--lora-modules", *self._modules(name, settings.folder)]
        found += ["--api-server-count", "1", "--shutdown-timeout", DRAIN_SECONDS]
        return found

    def _modules(self, name: str, folder: Path) -> list[str]:
        """Return the adapters to load at the start; on a CPU one of no effect in the last slot."""
        adapter = Path(str(self._files.adapter_dir))
        found = [arguments.module(name, adapter)]
        if self._blank:
            empty = blank.write(adapter, folder / blank.NAME)
            names = blank.names(self._slots + arguments.EMPTY_SLOTS)
            found += [arguments.module(filler, empty) for filler in names]
        return found

    def _keep_blank(self) -> None:
        """Use the adapter of no effect, so that it is not the one that was unused the longest."""
        if self._blank:
            body = {"model": blank.NAME, "prompt": "x", "max_tokens": 1}
            self._server.post("/v1/completions", body)

    def _check_fits(self, served: Served) -> None:
        files, restart = served.files, f"serve {served.name} by an engine of its own"
        if self._merged or files.base.digest != self.base_digest:
            what = "one merged version" if self._merged else f"the base {self._files.base.uri}"
            raise UsageError(f"{served.name}: this engine serves {what} only", next_command=restart)
        reason = _unservable(files)
        if reason is not None:
            raise UsageError(
                f"{served.name}: vLLM cannot serve it: {reason}", next_command=WAYS_OUT
            )
        rank = vllm_limits.rank_of(files.adapter_dir)
        if not 0 < rank <= self._ranks:
            has = f"has rank {rank}" if rank else "has no adapter"
            takes = f"rank {self._ranks} at most" if self._ranks else "no adapters"
            raise UsageError(
                f"{served.name}: {has}, and this engine was started for {takes}",
                next_command=f"{restart}, or start with room for it:"
                f" -C vllm_args={arguments.MAX_RANK}={vllm_limits.vllm_rank(rank)}",
            )
        if len(self._loaded) >= self._slots:
            raise UsageError(
                f"{served.name}: {len(self._loaded)} versions are loaded, the most here"
            )


def _ranks(files: ModelFiles, settings: EngineSettings) -> int:
    """Return the highest rank that the server takes, 0 if it takes no adapters.

    Raises:
        UsageError: The user's arguments set a rank that is no number, or lower than the version's.
    """
    if files.adapter_dir is None:
        return 0
    rank = vllm_limits.rank_of(files.adapter_dir)
    given = arguments.value(settings.arguments, arguments.MAX_RANK)
    if given is None:
        return vllm_limits.vllm_rank(rank)
    if not given.isdecimal() or int(given) < rank:
        raise UsageError(f"{arguments.MAX_RANK}={given}: {files.uri} has rank {rank}")
    return int(given)


def _unservable(files: ModelFiles) -> str | None:
    return vllm_limits.unservable_files(files.adapter_dir, files.tokenizer_dir)


def _for(served: Served) -> Callable[[str], str]:
    return lambda message: f"{served.name}: {message}"
