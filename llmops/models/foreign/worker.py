"""The program of the limited process: it reads jobs from stdin, a line of JSON each, and replies.

Started by its path, so it imports nothing of llmops.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from types import SimpleNamespace
from typing import Any


def main(seconds: int, extra_bytes: int, longest: int) -> None:
    """Do jobs until stdin is closed.

    Args:
        seconds: CPU time of one job; the kernel ends the process after it.
        extra_bytes: Memory beyond that of the idle process.
        longest: Maximum characters of a rendered text.
    """
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

    _limit_memory(extra_bytes)
    for line in sys.stdin.buffer:
        _limit_seconds(seconds)
        job = json.loads(line)
        try:
            if job["kind"] == "match":
                reply = _match(job["patterns"], job["names"])
            else:
                reply = _render(PreTrainedTokenizerBase, job, longest)
        except MemoryError:
            reply = {"limit": "memory"}
        except Exception as error:  # a template may raise anything
            line_number = getattr(error, "lineno", None)
            message = getattr(error, "message", None) or str(error) or type(error).__name__
            reply = {"error": type(error).__name__, "message": message, "line": line_number}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
        if "limit" in reply:
            return  # what filled the memory may still be in it


def _render(renderer: Any, job: dict[str, Any], longest: int) -> dict[str, object]:
    """Render a conversation as the installed transformers does, without a tokenizer."""
    tokenizer = SimpleNamespace(
        get_chat_template=lambda *_, **__: job["template"],
        special_tokens_map=job["variables"],
    )
    text = renderer.apply_chat_template(
        tokenizer, job["messages"], tokenize=False, **job["options"]
    )
    return {"limit": "length"} if len(text) > longest else {"text": str(text)}


def _match(patterns: list[str], names: list[str]) -> dict[str, object]:
    """Match patterns as PEFT does, and return how many names any of them matches."""
    # PEFT matches whole names, the ends of names, and layer indices behind a pattern.
    forms = [
        form
        for pattern in patterns
        for form in (pattern, rf"(.*\.)?({pattern})$", rf"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\.")
    ]
    compiled = []
    for form in forms:
        try:
            compiled.append(re.compile(form))
        except re.error:  # only some patterns have every form; PEFT reports a wrong one
            continue
    return {"matched": sum(any(form.match(name) for form in compiled) for name in names)}


def _limit_memory(extra_bytes: int) -> None:
    resource = _resource()
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
    except OSError:  # only Linux counts the address space
        return
    used = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + extra_bytes,) * 2)


def _limit_seconds(seconds: int) -> None:
    resource = _resource()
    end = math.ceil(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


def _resource() -> Any:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return resource


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
