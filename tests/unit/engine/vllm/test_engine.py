"""What the vLLM engine refuses before a server is started; `tests/vllm` has a real one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sides import CONVERSATIONS, GREEDY, answer_all, side_of, trained
from vllm_standins import FRAGILE, HERE, interpreter, serving

from llmops.engine.requests import Request
from llmops.engine.vllm import VllmEngine
from llmops.errors import ServeError, UsageError
from llmops.models import vllm_limits
from llmops.records import ModelFiles


@pytest.fixture
def fragile(tmp_path: Path) -> Path:
    """A stand-in for a Python with vLLM, for what a real one does not do on demand."""
    return serving(tmp_path, FRAGILE)


def test_the_error_of_a_server_that_dies_quotes_its_log(base: ModelFiles, fragile: Path) -> None:
    died = pytest.raises(ServeError, match=r"ended with status 3(?s:.*)out of memory")
    with VllmEngine([base], fragile) as engine, died:
        answer_all(engine, [Request(base, CONVERSATIONS[0], GREEDY)] * 3)


def test_a_server_that_did_well_leaves_no_log(base: ModelFiles, fragile: Path) -> None:
    with VllmEngine([base], fragile) as engine:
        assert engine.log.is_file()
        with pytest.raises(UsageError, match="has not loaded it"):
            answer_all(engine, [Request(replace(base, adapter_digest="1"), [], GREEDY)])
    assert not engine.log.exists()
    engine.close()


def test_adapters_that_vllm_does_not_serve(folder: Path, tuned: ModelFiles, tmp_path: Path) -> None:
    trained(folder, use_dora=True).save_pretrained(tmp_path / "dora")
    with pytest.raises(UsageError, match="vLLM cannot serve it: DoRA") as caught:
        VllmEngine([tuned, side_of(folder, tmp_path / "dora")], HERE)
    assert "--format merged" in str(caught.value.next_command)
    with pytest.raises(UsageError, match="tokenizer, chat template or generation configuration"):
        VllmEngine([tuned, replace(tuned, tokenizer_dir=tmp_path)], HERE)
    other = replace(tuned, base=replace(tuned.base, digest="0" * 64))
    with pytest.raises(UsageError, match="different base models"):
        VllmEngine([tuned, other], HERE)
    with pytest.raises(UsageError, match="rank 513: vLLM serves 512 at most"):
        VllmEngine([tuned], HERE, room=1, rank=513)


def test_ranks_are_those_that_vllm_allows() -> None:
    assert [vllm_limits.vllm_rank(rank) for rank in (0, 1, 2, 8, 9, 257, 512)] == [
        *(1, 1, 8, 8, 16, 320, 512)
    ]


def test_settings_of_the_base_that_vllm_does_not_do(base: ModelFiles, tmp_path: Path) -> None:
    copy = tmp_path / "base"
    shutil.copytree(base.base.directory, copy)
    (copy / "generation_config.json").write_text('{"suppress_tokens": [5]}')
    python = interpreter(tmp_path, vllm="0.33.0", transformers="5.19.0")
    with pytest.raises(UsageError, match="suppress_tokens, which vLLM does not support"):
        VllmEngine([replace(base, base=replace(base.base, directory=copy))], python)
