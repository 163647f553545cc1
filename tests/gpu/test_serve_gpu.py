"""Serving on a GPU: `make gpu` measures it and writes the figures to docs/reference/benchmarks.md.

``LLMOPS_GPU_REHEARSAL=1`` runs the same on a CPU with a tiny model and small numbers, and writes the
page to a temporary folder: to see that it works before a GPU is at hand. The bars are for the GPU.
"""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from figures import write_section
from load import Target, closed_loop
from serving_loads import in_turns, move_under_load
from serving_stack import LOCAL, VLLM, Stack, deployed, move_alias, registry

from llmops.engine.vllm.environment import find_environment

torch = pytest.importorskip("torch")
REHEARSAL = bool(os.environ.get("LLMOPS_GPU_REHEARSAL"))
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not (torch.cuda.is_available() or REHEARSAL), reason="no CUDA device on this machine"
    ),
]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md"
TITLE = "Serving on a GPU"
CALLERS, TOKENS, REQUESTS, STREAMS = (8, 16, 32, 8) if REHEARSAL else (256, 64, 1024, 50)
BASE = None if REHEARSAL else "smollm2-135m-instruct"
LOCAL_CALLERS = (4,) if REHEARSAL else (16, 128)
Figures = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("serve-gpu")
    with registry(folder, 2, base=BASE):
        yield folder


@pytest.fixture(scope="module")
def figures(folder: Path) -> Iterator[Figures]:
    """What the tests found, written at the end."""
    found: Figures = {}
    yield found
    page = PAGE
    if REHEARSAL:
        page = Path(shutil.copy(PAGE, folder / "benchmarks.md"))
    write_section(page, TITLE, _where(), found)
    print(f"\n{page}:\n{page.read_text().partition(f'## {TITLE}')[2]}")


@pytest.fixture(scope="module")
def stack(folder: Path, figures: Figures) -> Iterator[Stack]:
    """A deployment on vLLM; its start is a figure too."""
    began = time.monotonic()
    with deployed(folder, VLLM, max_tokens=TOKENS, queue=512) as stack:
        figures["`create` on vLLM, until it answers"] = (f"{time.monotonic() - began:.0f} s", "")
        yield stack


def test_a_deployment_on_vllm_answers(stack: Stack) -> None:
    load = closed_loop(stack.target(), 1, requests=2)
    assert not load.errors
    assert load.versions == {"bot@v1": 2}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tokens_per_second(stack: Stack, figures: Figures, stream: bool) -> None:
    exact = {"ignore_eos": True, "temperature": 1.0}
    found = in_turns(
        lambda target: closed_loop(target, CALLERS, requests=REQUESTS, stream=stream),
        gateway=stack.target(**exact),
        direct=stack.engine(**exact),
    )
    gateway, direct = found["gateway"], found["direct"]
    ratio = gateway.tokens_per_second / direct.tokens_per_second
    kind = "streamed" if stream else "whole"
    figures[f"tokens/s through the gateway, {CALLERS} callers, {kind} answers"] = (
        f"{gateway.tokens_per_second:,.0f}; vLLM asked directly {direct.tokens_per_second:,.0f};"
        f" ratio {ratio:.3f}",
        "0.95",
    )
    if stream:
        added = 1000 * (gateway.first(50) - direct.first(50))
        figures[f"… first token, median, {CALLERS} callers"] = (f"{added:+.1f} ms", "")
    assert not gateway.errors
    assert REHEARSAL or ratio >= 0.95


def test_a_swap_under_load(stack: Stack, figures: Figures) -> None:
    moved = move_under_load(stack, requests=REQUESTS, callers=CALLERS // 4, streams=STREAMS)
    failed = sum((moved.whole.errors + moved.streams.errors).values())
    asked = len(moved.whole.outcomes) + len(moved.streams.outcomes)
    figures["the new version answers after the alias moved"] = (f"{moved.seconds:.2f} s", "2 s")
    figures["… failed or mixed answers meanwhile"] = (f"{failed} of {asked:,}", "0")
    moved.check(REQUESTS, STREAMS)
    assert REHEARSAL or moved.seconds <= 2


@pytest.mark.parametrize("callers", LOCAL_CALLERS)
def test_the_local_engine(folder: Path, figures: Figures, callers: int) -> None:
    """Beside `generate` of transformers with the same prompts at the same batch."""
    move_alias(1)
    with deployed(folder, LOCAL, max_tokens=32, queue=512, concurrency=callers) as stack:
        target: Target = stack.target()
        closed_loop(target, callers, requests=callers)
        load = closed_loop(target, callers, requests=4 * callers)
    ratio = load.tokens_per_second / _generated(folder, callers)
    figures[f"`local`, tokens/s, {callers} callers x 32 tokens"] = (
        f"{load.tokens_per_second:,.0f}; {ratio:.2f} x `generate` at batch {callers}",
        "0.8" if callers == 16 else "",
    )
    assert not load.errors
    assert REHEARSAL or callers != 16 or ratio >= 0.8


def _generated(folder: Path, rows: int) -> float:
    """Return the tokens per second of `generate` with the adapter, in one static batch."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llmops.models.resolve import resolve

    files = resolve("models:/bot/1")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    tokenizer = AutoTokenizer.from_pretrained(files.base.directory, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(files.base.directory, dtype=dtype)
    model = PeftModel.from_pretrained(model, files.adapter_dir).to(device).eval()
    texts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": str(i)}], tokenize=False, add_generation_prompt=True
        )
        for i in range(rows)
    ]
    batch = tokenizer(texts, return_tensors="pt", padding=True).to(device)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        with torch.inference_mode():
            ids = model.generate(**batch, max_new_tokens=32, do_sample=False)
        tokens = int((ids[:, batch["input_ids"].shape[1] :] != tokenizer.pad_token_id).sum())
        seconds.append(time.perf_counter() - began)
    return tokens / min(seconds)


def _where() -> str:
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU, a rehearsal"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "mlflow"))
    vllm = find_environment(Path(os.environ.get("LLMOPS_VLLM_PYTHON", ".vllm/bin/python"))).version
    return (
        f"Written by `make gpu` on {datetime.date.today():%d %B %Y}: {card}, Python"
        f" {platform.python_version()}, {packages}, vLLM {vllm};"
        f" {BASE or 'a tiny model'}, adapters of rank 4, {TOKENS} tokens an answer."
    )
