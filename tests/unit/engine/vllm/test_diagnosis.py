"""The cause of a failed start, in logs as vLLM 0.26 and 0.32 write them, shortened."""

from __future__ import annotations

import pytest

from llmops.engine.vllm.diagnosis import root_cause

API = "(APIServer pid=1309) "
CORE = "(EngineCore pid=1401) ERROR 11-28 08:42:01 [core.py:1510] "
WORKER = "(Worker pid=1509) ERROR 11-28 08:41:56 [multiproc_executor.py:953] "
PARENT = f"""\
{API}Traceback (most recent call last):
{API}  File "<frozen runpy>", line 198, in _run_module_as_main
{API}  File "/opt/vllm/v1/engine/utils.py", line 964, in wait_for_engine_startup
{API}    raise RuntimeError(
{API}RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}
"""
"""What stands at the end of every log of an engine that did not start."""


def core(*lines: str) -> str:
    """The log of an engine-core process that failed, and of its parent."""
    header = [f"{API}INFO 11-28 08:41:19 [api_utils.py:286] non-default args: {{'port': 1}}"]
    said = [CORE + line for line in ("EngineCore failed to start.", *lines)]
    raised = ["Process EngineCore:", *lines]
    return "\n".join([*header, *said, *raised, PARENT])


def traceback(*exception: str) -> list[str]:
    return [
        "Traceback (most recent call last):",
        '  File "/opt/vllm/v1/engine/core.py", line 1482, in run_engine_core',
        "    engine_core = EngineCoreProc(*args, engine_index=dp_rank, **kwargs)",
        "                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        *exception,
    ]


DIRECT = ["", "The above exception was the direct cause of the following exception:", ""]
DURING = ["", "During handling of the above exception, another exception occurred:", ""]
FREE = (
    "Free memory on device cuda:0 (128.1/139.8 GiB) on startup is less than desired GPU memory"
    " utilization (0.92, 128.62 GiB). Decrease GPU memory utilization or reduce GPU memory used by"
    " other processes."
)


@pytest.mark.parametrize(
    ("exception", "cause", "helps"),
    [
        (f"ValueError: {FREE}", f"ValueError: {FREE}", "-C memory=0.5"),
        (
            "ModuleNotFoundError: No module named 'flashinfer'",
            "ModuleNotFoundError: No module named 'flashinfer'",
            "pip install flashinfer-python",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            "free memory, or serve a smaller",
        ),
        (
            "ValueError: To serve at least one request with the models's max seq len (131072), 16.0"
            " GiB KV cache is needed, which is larger than the available KV cache memory (2.1 GiB).",
            "KV cache is needed",
            "--max-model-len=N",
        ),
        (
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",
            "Bfloat16 is only supported",
            "-C vllm_args=--dtype=float16",
        ),
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 12020).",
            "driver on your system is too old",
            "update the driver",
        ),
        ("ZeroDivisionError: division by zero", "ZeroDivisionError: division by zero", None),
        ("AssertionError", "AssertionError", None),
    ],
)
def test_the_first_failing_process_says_why(exception: str, cause: str, helps: str | None) -> None:
    found = root_cause(core(*traceback(exception)), 1)
    assert found is not None
    assert cause in found
    assert "Engine core initialization failed" not in found
    assert ("What helps" in found) == (helps is not None)
    assert helps is None or helps in found


def test_a_worker_says_more_than_the_engine_that_waits_for_it() -> None:
    waiting = (
        "Exception: WorkerProc initialization failed due to an exception in a background process."
        " See stack trace for root cause."
    )
    error = (
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata"
    )
    said = [WORKER + line for line in ("WorkerProc failed to start.", *traceback(error))]
    found = root_cause("\n".join(said) + "\n" + core(*traceback(waiting)), 1)
    assert found is not None
    assert found.startswith("SafetensorError: Error while deserializing header: incomplete")
    assert "fetch the version anew" in found


def test_linked_exceptions_are_shown_from_the_first_to_the_last() -> None:
    for link in (DIRECT, DURING):
        lines = [*traceback("KeyError: 'foo'"), *link, *traceback("ValueError: no model type foo")]
        assert root_cause(core(*lines), 1) == "KeyError: 'foo'; then ValueError: no model type foo"


def test_a_message_of_several_lines_is_shown_whole() -> None:
    error = [
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "  Value error, max_model_len (100000) is greater than 512 [type=value_error]",
        "    For further information visit https://errors.pydantic.dev/2.14/v/value_error",
    ]
    log = "\n".join(API + line for line in traceback(*error))
    found = root_cause(log, 1)
    assert found is not None
    assert "ModelConfig Value error, max_model_len (100000) is greater than 512" in found


def test_a_problem_that_was_survived_is_not_the_cause() -> None:
    plugin = [
        f"{API}ERROR 11-28 08:41:00 [__init__.py:60] {line}"
        for line in ("Failed to load plugin x", *traceback("ImportError: x"))
    ]
    log = "\n".join(plugin) + "\n"
    assert root_cause(log + core(*traceback("ValueError: y")), 1) == "ValueError: y"
    unmarked = "\n".join(traceback("ValueError: y"))
    assert root_cause(f"{log}INFO ok\n{unmarked}", 1) == "ValueError: y"


def test_a_wrong_command_line_is_shown_without_the_usage() -> None:
    usage = "usage: api_server.py [-h] [--headless]\n" + 300 * "                 [--option]\n"
    found = root_cause(f"{usage}api_server.py: error: unrecognized arguments: --no-such-option", 2)
    assert found is not None
    assert found.startswith("unrecognized arguments: --no-such-option")
    assert "[--option]" not in found


@pytest.mark.parametrize(
    ("status", "words"),
    [(137, "memory is used up"), (132, "this processor does not have"), (139, "SIGSEGV")],
)
def test_a_signal_is_the_cause_where_nothing_was_written(status: int, words: str) -> None:
    found = root_cause("INFO 11-28 08:41:19 [core.py:1] loading\n", status)
    assert found is not None
    assert words in found


KILLED = f"""\
{API}WARNING 11-28 09:25:58 [core_client.py:817] [shutdown] MPClient: engine core exited unexpectedly
{API}ERROR 11-28 09:25:58 [async_llm.py:906] AsyncLLM output_handler failed.
{API}ERROR 11-28 09:25:58 [async_llm.py:906] Traceback (most recent call last):
{API}ERROR 11-28 09:25:58 [async_llm.py:906]     raise self._format_exception(outputs) from None
{API}ERROR 11-28 09:25:58 [async_llm.py:906] vllm.v1.engine.exceptions.EngineDeadError: EngineCore \
encountered an issue. See stack trace (above) for the root cause.
"""


@pytest.mark.parametrize("log", [KILLED, PARENT])
def test_an_engine_process_that_was_killed_wrote_nothing(log: str) -> None:
    found = root_cause(log, 0)
    assert found is not None
    assert found.startswith("its engine process ended and gave no reason, as if by the kernel")


def test_a_problem_that_was_survived_is_not_why_a_server_was_killed() -> None:
    lines = ["Failed to load adapter", *traceback("ValueError: rank 64 is too high")]
    found = root_cause("\n".join(API + line for line in lines), 137)
    assert found is not None
    assert found.startswith("it was killed (SIGKILL)")


def test_a_log_without_a_cause_is_not_explained() -> None:
    assert root_cause("loading\nstill loading\n", 1) is None
    assert root_cause("", None) is None
    assert root_cause("Traceback (most recent call last):\n  cut off", 1) is None
