"""Log-probabilities in requests and replies of the OpenAI protocol.

A chat asks with ``logprobs: true`` and ``top_logprobs: N``, a completion with ``logprobs: N``. Only an
engine that can compute them reads them here; everywhere else they are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from llmops.engine.logprobs import TokenLogprob
from llmops.engine.openai.errors import RequestError, shown

LOGPROBS, TOP = "logprobs", "top_logprobs"
MOST = 20
"""Maximum number of likeliest tokens at each place."""


def read(given: Mapping[str, Any], *, chat: bool) -> tuple[dict[str, Any], int | None]:
    """Split off what a request says about log-probabilities.

    Args:
        given: The request.
        chat: Whether it is a chat rather than a completion.

    Returns:
        The other parameters, and the number of likeliest tokens to name at each place; ``None`` if the
        request wants no log-probabilities.

    Raises:
        RequestError: A value is invalid, or the answer is to be streamed.
    """
    rest = {name: value for name, value in given.items() if name not in (LOGPROBS, TOP)}
    top = _of_chat(given) if chat else _of_completion(given)
    if top is not None and given.get("stream"):
        raise RequestError("logprobs: not supported with stream: true", param=LOGPROBS)
    return rest, top


def written(tokens: Sequence[TokenLogprob], *, chat: bool) -> dict[str, Any]:
    """Return the ``logprobs`` of a choice.

    Args:
        tokens: Those of its answer.
        chat: See ``read``.
    """
    if chat:
        return {"content": [_chat_token(token) for token in tokens], "refusal": None}
    lengths = [0, *(len(token.token) for token in tokens)]
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [dict(reversed(token.top)) for token in tokens],
        "text_offset": list(accumulate(lengths))[:-1],
    }


def _of_chat(given: Mapping[str, Any]) -> int | None:
    wanted, top = given.get(LOGPROBS), given.get(TOP)
    if wanted is not None and not isinstance(wanted, bool):
        raise RequestError(
            f"logprobs: must be true or false, received {shown(wanted)}", param=LOGPROBS
        )
    if top is not None and not _is_count(top):
        raise _wrong(TOP, top)
    if top and not wanted:
        raise RequestError("top_logprobs: allowed only with logprobs: true", param=TOP)
    return (top or 0) if wanted else None


def _of_completion(given: Mapping[str, Any]) -> int | None:
    wanted: Any = given.get(LOGPROBS)
    if given.get(TOP) is not None:
        raise RequestError(
            "top_logprobs: allowed in a chat only; a completion has logprobs: N", param=TOP
        )
    if wanted is None or wanted is False:
        return None
    if not _is_count(wanted):
        raise _wrong(LOGPROBS, wanted)
    return int(wanted)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def _wrong(name: str, value: object) -> RequestError:
    return RequestError(
        f"{name}: must be a whole number from 0 to {MOST}, received {shown(value)}", param=name
    )


def _chat_token(token: TokenLogprob) -> dict[str, Any]:
    top = [_entry(text, logprob) for text, logprob in token.top]
    return {**_entry(token.token, token.logprob), "top_logprobs": top}


def _entry(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
