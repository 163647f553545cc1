"""What only a CUDA device can show. `make gpu` runs these; elsewhere they say why they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from sides import CONVERSATIONS, GREEDY, generate, score, side_of

from llmops.engine import Request
from llmops.engine.local.engine import LocalEngine
from llmops.errors import UsageError
from llmops.records import LoadOptions, ModelFiles, Sampling

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
ON_CPU = LoadOptions(device="cpu", dtype="float32")


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0", "balanced"])
def test_greedy_fp32_on_the_gpu_says_what_the_cpu_says(
    base: ModelFiles, tuned: ModelFiles, other: ModelFiles, device: str
) -> None:
    sides = [base, tuned, other]
    on_gpu = LocalEngine(sides, options=LoadOptions(device=device, dtype="float32"))
    on_cpu = LocalEngine(sides, options=ON_CPU)
    assert on_gpu.device.type == "cuda"
    assert {parameter.device.type for parameter in on_gpu.model.parameters()} == {"cuda"}
    for side in sides:
        assert generate(on_gpu, side, CONVERSATIONS, GREEDY) == generate(
            on_cpu, side, CONVERSATIONS, GREEDY
        )
        pairs = zip(
            score(on_gpu, side, CONVERSATIONS, ["Split."] * 8),
            score(on_cpu, side, CONVERSATIONS, ["Split."] * 8),
            strict=True,
        )
        for (ours, n), (theirs, m) in pairs:
            assert (ours, n) == (pytest.approx(theirs, abs=1e-2), m)


def test_a_seed_draws_the_same_on_the_gpu_and_on_the_cpu(tuned: ModelFiles) -> None:
    samplings = [Sampling(max_tokens=16, temperature=1.0, top_p=0.9, seed=i) for i in range(8)]
    on_gpu = LocalEngine([tuned], options=LoadOptions(dtype="float32"))
    on_cpu = LocalEngine([tuned], options=ON_CPU)
    assert generate(on_gpu, tuned, CONVERSATIONS, samplings) == generate(
        on_cpu, tuned, CONVERSATIONS, samplings
    )
    *_, streamed = on_gpu.stream(Request(tuned, CONVERSATIONS[0], samplings[0]))
    assert streamed == generate(on_cpu, tuned, CONVERSATIONS[:1], samplings[:1])[0]


def test_the_default_on_a_gpu_is_bfloat16(tiny_model: Path) -> None:
    engine = LocalEngine([side_of(tiny_model)])
    assert engine.model.dtype == torch.bfloat16
    assert engine.model.device.type == "cuda"


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_quantised_weights(tuned: ModelFiles, other: ModelFiles, quantization: str) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    engine = LocalEngine([tuned, other], options=LoadOptions(quantization=quantization))
    whole = LocalEngine([tuned, other], options=ON_CPU)
    for side in (tuned, other):
        assert len(generate(engine, side, CONVERSATIONS, GREEDY)) == len(CONVERSATIONS)
        close = score(engine, side, CONVERSATIONS, ["Split."] * 8)
        exact = score(whole, side, CONVERSATIONS, ["Split."] * 8)
        for (ours, n), (theirs, _) in zip(close, exact, strict=True):
            assert ours / n == pytest.approx(theirs / n, abs=2.0)


def test_a_gpu_beyond_the_last_is_refused(tiny_model: Path) -> None:
    with pytest.raises(UsageError, match=r"this machine has [0-9]+ CUDA device"):
        LocalEngine([side_of(tiny_model)], options=LoadOptions(device="cuda:99"))
