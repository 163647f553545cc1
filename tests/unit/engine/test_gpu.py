"""What only a CUDA device can show. `make gpu` runs these; elsewhere they say why they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops import digest
from llmops.engine.local import LocalEngine
from llmops.records import BaseModel, ModelFiles, Sampling

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


def test_greedy_fp32_on_the_gpu_says_what_the_cpu_says(
    tiny_model: Path, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = BaseModel("tiny", "models:/tiny/1", digest.of_model(tiny_model), tiny_model)
    side = ModelFiles(
        "v1", "models:/bot/1", base, tiny_adapter, digest.of_model(tiny_adapter), None
    )
    chats = [[{"role": "user", "content": f"Split {i}."}] for i in range(8)]
    on_gpu = LocalEngine([side], dtype="float32")
    assert on_gpu.device == "cuda"
    answers = on_gpu.generate(side, chats, Sampling(max_tokens=16))
    with monkeypatch.context() as patched:
        patched.setattr(torch.cuda, "is_available", lambda: False)
        on_cpu = LocalEngine([side], dtype="float32")
    assert answers == on_cpu.generate(side, chats, Sampling(max_tokens=16))


def test_the_default_on_a_gpu_is_bfloat16(tiny_model: Path) -> None:
    base = BaseModel("tiny", "models:/tiny/1", digest.of_model(tiny_model), tiny_model)
    engine = LocalEngine([ModelFiles("base", base.uri, base, None, None, None)])
    assert engine.model.dtype == torch.bfloat16
    assert engine.model.device.type == "cuda"
