"""Many requests to a server at once, each result as soon as it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from llmops.engine.requests import Key, Request
from llmops.records import Answer


def concurrently(
    requests: Sequence[Request],
    ask: Callable[[Request], Answer],
    workers: int,
    *,
    enough: threading.Event | None = None,
) -> Generator[tuple[Key, Answer]]:
    """Ask for answers in threads.

    Args:
        requests: With unique keys.
        ask: Answers one of them; what it raises ends everything.
        workers: Requests under way at most.
        enough: Once set, no further request begins; those under way are still yielded.

    Yields:
        Key and answer of each request, in any order. Whoever stops iterating, or interrupts, does
        not wait for requests under way.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="llmops-ask")
    try:
        sent = {pool.submit(ask, request): request.key for request in requests}
        for future in as_completed(sent):
            if future.cancelled():
                continue
            yield sent[future], future.result()
            if enough is not None and enough.is_set():
                for other in sent:
                    other.cancel()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
