"""Find in the log of a vLLM server why it ended.

Several processes write to one log. The process that failed writes its traceback first; its parents
then write longer ones, which say only that it failed.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

LONGEST = 600
"""Characters of a cause that are quoted."""
CONTINUED = 3
"""Lines of an exception's message that are quoted, the first included."""
PREFIX = re.compile(
    r"(?:\([A-Za-z][\w-]* pid=\d+\) ?)?"  # the process
    r"(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]+\] ?)?"
)
FATAL = re.compile(
    r"(WorkerProc failed to start|EngineCore failed to start|WorkerProc hit an exception"
    r"|EngineCore encountered a fatal error)"
)
"""Lines after which the traceback that matters follows."""
TRACEBACK = "Traceback (most recent call last):"
LINKS = ("The above exception was the direct cause", "During handling of the above exception")
EXCEPTION = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Z]\w*)(?:: (.*))?")
USAGE = re.compile(r"[\w.-]+(?: serve)?: error: (.+)")
GENERIC = re.compile(
    r"Engine core initialization failed|initialization failed due to an exception in a background"
    r"|EngineDeadError|EngineCore encountered an issue|SystemExit|KeyboardInterrupt|CancelledError"
)
"""Exceptions by which a parent reports that its child failed."""

DIED = "engine core exited unexpectedly"
OUT_OF_MEMORY = "as if by the kernel, which kills processes when the memory is used up"

OPTION = "(for a deployment: -C vllm_args={0})"
HINTS = (
    (
        r"No module named '?flashinfer",
        "install it beside vLLM: PYTHON_OF_VLLM -m pip install flashinfer-python",
    ),
    (
        r"No module named|cannot open shared object file|undefined symbol",
        "vLLM's environment is incomplete: install vllm anew in an environment of its own",
    ),
    (
        r"Free memory on device|desired (GPU|CPU) memory|requested memory for kv",
        "end what else uses the memory, or give vLLM a smaller share (for a deployment: -C memory=0.5)",
    ),
    (
        r"KV cache is needed|max seq len|max_model_len",
        "choose a context length that fits: --max-model-len=N "
        + OPTION.format("--max-model-len=N"),
    ),
    (
        r"out of memory|OutOfMemory|No available memory for the cache|not enough memory",
        "free memory, or serve a smaller or quantised base",
    ),
    (
        r"[Bb]float16 is (only|not) supported",
        "use another dtype: --dtype=float16 " + OPTION.format("--dtype=float16"),
    ),
    (
        r"driver.* too old|no kernel image is available|CUDA driver version is insufficient",
        "install a vLLM that was built for this GPU's driver, or update the driver",
    ),
    (
        r"SafetensorError|deserializing header",
        "a file of weights is damaged: fetch the version anew",
    ),
    (
        r"unrecognized arguments|invalid choice",
        "see the options of this vLLM: vllm serve --help=all",
    ),
)
"""Pattern of a cause, and what helps."""


@dataclass
class _Chain:
    """Exceptions of one traceback, the original first."""

    exceptions: list[str]


def root_cause(log: str, status: int | None = None) -> str | None:
    """Return why a server ended, with what helps if that is known.

    Args:
        log: Text of its log.
        status: Exit status; above 128 it is the number of a signal plus 128.

    Returns:
        One or two lines; ``None`` if the log does not say.
    """
    lines = [PREFIX.sub("", line, count=1).rstrip() for line in log.splitlines()]
    fatal = next((number for number, line in enumerate(lines) if FATAL.search(line)), None)
    if fatal is not None:
        cause = _exception(list(_chains(lines[fatal:])))
    else:  # tracebacks before a signal are of problems that were survived
        chains = list(_chains(lines))[::-1]
        cause = _signal(status) or _exception(chains) or _usage_error(lines)
    cause = cause or _died(lines)
    if cause is None:
        return None
    hint = next((text for pattern, text in HINTS if re.search(pattern, cause)), None)
    return cause if hint is None else f"{cause}\n  What helps: {hint}"


def _exception(chains: list[_Chain]) -> str | None:
    """Return what the first of the tracebacks says that is not about another process."""
    for chain in chains:
        specific = [text for text in chain.exceptions if not GENERIC.search(text)]
        if specific:
            first, last = specific[0], specific[-1]
            return first if first == last else f"{first}; then {last}"
    return None


def _chains(lines: list[str]) -> Iterator[_Chain]:
    """Yield the tracebacks, those that Python links to one another together."""
    chain, linked, number = _Chain([]), False, 0
    while number < len(lines):
        if lines[number].startswith(LINKS):
            linked = True
        elif lines[number] == TRACEBACK:
            if not linked and chain.exceptions:
                yield chain
                chain = _Chain([])
            linked = False
            number = _end(lines, number + 1)
            if number < len(lines):
                chain.exceptions.append(_message(lines[number : number + CONTINUED]))
        number += 1
    if chain.exceptions:
        yield chain


def _end(lines: list[str], number: int) -> int:
    """Return the number of the line with a traceback's exception, which alone is not indented."""
    while number < len(lines) and (not lines[number] or lines[number][0].isspace()):
        number += 1
    return number


def _message(lines: list[str]) -> str:
    """Return an exception's name without its module, and its message; more lines are indented."""
    match = EXCEPTION.fullmatch(lines[0])
    text = lines[0] if match is None else ": ".join(filter(None, match.groups()))
    for line in lines[1:]:
        if not line.startswith(" "):
            break
        text = f"{text} {line.strip()}"
    return text[:LONGEST]


def _usage_error(lines: list[str]) -> str | None:
    found = [match[1] for match in map(USAGE.fullmatch, lines) if match]
    return found[-1][:LONGEST] if found else None


def _died(lines: list[str]) -> str | None:
    """Return that a process inside the server ended, if that is all that its parent knows."""
    if any(GENERIC.search(line) or DIED in line for line in lines):
        return f"its engine process ended and gave no reason, {OUT_OF_MEMORY}"
    return None


def _signal(status: int | None) -> str | None:
    """Return what a signal means that ended the server without a word of its own."""
    if status is None or status <= 128:
        return None
    with suppress(ValueError):
        name = signal.Signals(status - 128).name
        return {
            "SIGKILL": f"it was killed (SIGKILL), {OUT_OF_MEMORY}",
            "SIGILL": "it uses instructions that this processor does not have (SIGILL)",
        }.get(name, f"it was ended by {name}")
    return None
