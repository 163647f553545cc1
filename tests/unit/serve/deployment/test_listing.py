from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from llmops import serve
from llmops.errors import NotFoundError
from llmops.records import Deployment, Proof
from llmops.serve.deployment import listing, state
from llmops.serve.deployment.config import Config

PROOF = Proof("d" * 64, "IMPROVED", "run")


def recorded(name: str = "bot", **status: object) -> None:
    config = Config(
        name=name, uri="models:/bot@champion", follow=True, host="127.0.0.1", port=9, tls_cert="c"
    )
    state.create(config, "https://127.0.0.1:9")
    if status:
        state.claim(name)
        state.report(name, **status)  # type: ignore[arg-type]


def test_a_deployment_as_callers_see_it() -> None:
    recorded(model="bot@v7", uri="models:/bot/7", proof=PROOF, engine="vllm", phase="probing")
    assert serve.get("bot") == Deployment(
        name="bot",
        model="bot@v7",
        uri="models:/bot/7",
        endpoint="https://127.0.0.1:9",
        pid=os.getpid(),
        created=psutil.Process().create_time(),
        log=Path(os.environ["LLMOPS_HOME"]) / "deployments" / "bot" / "gateway.log",
        source="models:/bot@champion",
        follow=True,
        engine="vllm",
        proof=PROOF,
        certificate="c",
        doing="probing",
    )


def test_they_are_listed_by_name_before_and_after_they_start() -> None:
    recorded("b", model="bot@v7")
    recorded("a")
    first, second = serve.list_all()
    assert (first.name, first.pid, first.engine, first.model) == ("a", 0, "auto", "")
    assert (second.name, second.pid) == ("b", os.getpid())


def test_a_process_that_never_started_or_whose_number_was_given_away_is_stopped() -> None:
    recorded()
    assert serve.status(serve.get("bot")) == "stopped"
    reused = state.get_record("bot")
    found = listing.public(
        state.Record(reused.config, reused.status, reused.endpoint, state.Started(os.getpid(), 1.0))
    )
    assert listing.process_of(found) is None
    assert serve.status(found) == "stopped"


def test_a_process_that_does_not_answer_is_not_ready() -> None:
    recorded(model="bot@v7")
    assert serve.status(serve.get("bot")) == "not ready"


@pytest.mark.parametrize(
    ("status", "shown"), [({"note": "registry down"}, "degraded"), ({"note": None}, "running")]
)
def test_one_that_answers_but_not_as_asked_is_degraded(
    status: dict[str, object], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(**status)
    monkeypatch.setattr(listing.client, "is_ready", lambda *_: True)
    assert serve.status(serve.get("bot")) == shown


def test_an_unknown_deployment_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="deployments list"):
        serve.get("bot")
    with pytest.raises(NotFoundError):
        serve.delete("bot")
