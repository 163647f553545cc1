"""The state of a running deployment: for its commands, and as figures for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass

from llmops.serve.gateway.hooks import Recorder
from llmops.serve.gateway.metrics import Live
from llmops.serve.gateway.proxy.admission import Admission
from llmops.serve.gateway.versions.engine import Engine
from llmops.serve.gateway.versions.follow import Follower
from llmops.serve.gateway.versions.router import Router
from llmops.serve.gateway.versions.supervise import Supervisor
from llmops.serve.gateway.versions.swap import Swapper


@dataclass(frozen=True)
class State:
    """Reads the state from the parts that have it."""

    deployment: str
    router: Router
    admission: Admission
    swapper: Swapper
    follower: Follower
    supervisor: Supervisor
    recorder: Recorder

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        current = self.router.current
        return bool(current and current.engine.up and not self.router.closing)

    def describe(self) -> dict[str, object]:
        """Return the state for people and commands."""
        current = self.router.current
        return {
            "deployment": self.deployment,
            "version": current and current.served.name,
            "unproven": current is not None and current.served.proof is None,
            "ready": self.ready,
            "engines": [_engine_status(engine) for engine in self.swapper.engines.values()],
            "uri": self.follower.uri,
            "follows": self.follower.follows,
            "problem": self.supervisor.problem or self.follower.problem,
            "swap": self.swapper.running,
            "swaps": self.swapper.count,
            "in_flight": {name: one.in_flight for name, one in self.router.targets.items()},
            "waiting": self.admission.waiting,
            "dropped_traces": self.recorder.dropped,
        }

    def figures(self) -> Live:
        """Return figures that are read when Prometheus asks."""
        router, admission, recorder = self.router, self.admission, self.recorder
        return Live(
            {
                ("llmops_waiting", "Requests that wait for a place."): lambda: admission.waiting,
                ("llmops_ready", "1 while requests are answered."): lambda: self.ready,
            },
            lambda: {name: target.in_flight for name, target in router.targets.items()},
            {
                ("llmops_swaps", "Versions that became the current one."): lambda: (
                    self.swapper.count
                ),
                ("llmops_engine_restarts", "Engines that were brought back."): lambda: sum(
                    engine.restarts for engine in self.swapper.engines.values()
                ),
                ("llmops_dropped_traces", "Answers without a trace: the queue was full."): lambda: (
                    recorder.dropped
                ),
                ("llmops_unredacted_traces", "Traces without content: `redact` failed."): lambda: (
                    recorder.unredacted
                ),
            },
        )


def _engine_status(engine: Engine) -> dict[str, object]:
    process = engine.process
    return {
        "kind": process.kind,
        "pid": engine.pid,
        "base": process.base_digest,
        "versions": sorted(engine.live),
        "up": engine.up,
        "restarts": engine.restarts,
        "log": str(process.log),
    }
