from __future__ import annotations

import hmac
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from standin import eventually
from starlette.datastructures import Headers

from llmops.engine.openai.errors import ApiError
from llmops.serve.auth import guard, header, store
from llmops.serve.auth.guard import Guard
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.record import database
from llmops.serve.gateway import hooks


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


def settings(host: str = "127.0.0.1", key: str | None = None) -> Config:
    key_hash = None if key is None else header.digest(key)
    return Config(name="bot", uri="u", follow=False, host=host, port=1, key_hash=key_hash)


def bearer(key: str) -> Headers:
    return Headers({"Authorization": f"Bearer {key}"})


@pytest.fixture
def own() -> Iterator[Guard]:
    with closing(Guard(settings(), CLOCK)) as made:
        yield made


def refusal(made: Guard, headers: Headers) -> ApiError:
    with pytest.raises(ApiError) as refused:
        made.admit(headers)
    return refused.value


def later(seconds: float = 1.0) -> None:
    CLOCK.now += seconds


def test_it_is_the_guard_that_the_gateway_asks_for(own: Guard) -> None:
    asked: hooks.Guard = own
    assert asked.keyless
    assert asked.admit(Headers({})) == hooks.Caller(None)
    asked.spend(hooks.Caller(None), 10)


def test_a_key_closes_a_keyless_deployment_and_revoking_it_does_not_open_it(own: Guard) -> None:
    key = store.add("ci")
    later()
    assert not own.keyless or own.admit(bearer(key))
    assert own.admit(bearer(key)).name == "ci"
    assert not own.keyless
    assert refusal(own, Headers({})).status == 401
    store.revoke("ci")
    later()
    refused = refusal(own, bearer(key))
    assert (refused.status, refused.code) == (401, "invalid_api_key")
    assert refused.headers == {"WWW-Authenticate": "Bearer"}
    assert refusal(own, Headers({})).status == 401
    other = store.add("ci")
    later()
    assert own.admit(bearer(other)).name == "ci"
    assert refusal(own, bearer(key)).status == 401


def test_revoking_takes_effect_within_two_seconds() -> None:
    key = store.add("ci")
    with closing(Guard(settings())) as made:
        made.admit(bearer(key))
        store.revoke("ci")
        began = time.monotonic()

        def refused() -> bool:
            try:
                made.admit(bearer(key))
            except ApiError:
                return True
            return False

        eventually(refused)
        assert time.monotonic() - began < 2


def test_the_key_at_create_is_one_more() -> None:
    key = store.add("ci")
    with closing(Guard(settings(key="own-key"), CLOCK)) as made:
        assert made.admit(bearer("own-key")).name == "LLMOPS_API_KEY"
        assert made.admit(bearer(key)).name == "ci"
        for wrong in ("own-kez", "", "own-key2", header.digest("own-key"), "schlüssel"):
            assert refusal(made, bearer(wrong)).status == 401
        assert refusal(made, Headers({"x-api-key": "own-key"})).status == 401


def test_the_key_at_create_can_be_revoked_if_it_is_one_of_the_table() -> None:
    key = store.add("ci", requests_per_minute=1)
    with closing(Guard(settings(key=key), CLOCK)) as made:
        assert made.admit(bearer(key)).name == "ci"
        assert refusal(made, bearer(key)).status == 429, "its limit counts"
        store.revoke("ci")
        later()
        assert refusal(made, bearer(key)).status == 401


def test_other_machines_never_need_no_key() -> None:
    with closing(Guard(settings("0.0.0.0"), CLOCK)) as made:
        assert not made.keyless
        assert refusal(made, Headers({})).status == 401


def test_every_hash_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [store.add(name) for name in ("a", "b", "c")]
    compared: list[int] = []
    compare = hmac.compare_digest

    def counted(one: str, other: str) -> bool:
        compared[-1] += 1
        return compare(one, other)

    with closing(Guard(settings(), CLOCK)) as made:
        monkeypatch.setattr(guard.hmac, "compare_digest", counted)
        for key in (*keys, "wrong"):
            compared.append(0)
            try:
                made.admit(bearer(key))
            except ApiError:
                assert key == "wrong"
    assert compared == [3, 3, 3, 3]


def test_requests_beyond_the_limit_wait(own: Guard) -> None:
    key, free = store.add("ci", requests_per_minute=2), store.add("free")
    later()
    for _ in range(2):
        own.admit(bearer(key))
    refused = refusal(own, bearer(key))
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert refused.headers == {"Retry-After": "30"}
    assert "2 requests a minute" in refused.message
    assert own.admit(bearer(free)).name == "free"
    later(29)
    assert refusal(own, bearer(key)).headers == {"Retry-After": "1"}
    later(1)
    own.admit(bearer(key))


def test_tokens_beyond_the_limit_are_owed(own: Guard) -> None:
    key = store.add("ci", tokens_per_minute=60)
    later()
    caller = own.admit(bearer(key))
    own.spend(caller, 89)
    refused = refusal(own, bearer(key))
    assert (refused.status, refused.headers["Retry-After"]) == (429, "30")
    assert "60 tokens a minute" in refused.message
    store.add("another")  # the table is read again, and what is owed stays owed
    later(29)
    assert refusal(own, bearer(key)).headers == {"Retry-After": "1"}
    later(1)
    own.admit(bearer(key))


def test_a_state_that_cannot_be_read_keeps_the_keys(own: Guard) -> None:
    key = store.add("ci")
    later()
    own.admit(bearer(key))
    with closing(sqlite3.connect(database.path())) as connection:
        connection.execute("drop table keys")
    later()
    assert own.admit(bearer(key)).name == "ci"
    assert refusal(own, bearer("wrong")).status == 401


def test_the_last_use_is_recorded_once_a_minute(own: Guard) -> None:
    key = store.add("ci")
    later()
    own.admit(bearer(key))
    assert store.list_keys()[0].last_used is None
    later(60)
    own.admit(bearer(key))
    eventually(lambda: store.list_keys()[0].last_used is not None)
    used = store.list_keys()[0].last_used
    assert used is not None
    assert abs(used - time.time()) < 60


def test_a_request_costs_little(own: Guard) -> None:
    keys = [store.add(f"key-{number}", requests_per_minute=10**6) for number in range(50)]
    later()
    headers = bearer(keys[-1])
    began = time.perf_counter()
    for _ in range(1000):
        own.admit(headers)
    assert (time.perf_counter() - began) / 1000 < 1e-3, "seconds a request"
