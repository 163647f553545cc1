"""Engines by name; a new one is one module and one entry in the table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sides import CONVERSATIONS, GREEDY, answer_all

from llmops import flavor
from llmops.compare import compare
from llmops.engine import Request, open_engine
from llmops.engine.openai.endpoint import remote_model
from llmops.errors import UsageError
from llmops.recipe.engine_names import ENGINES, EngineEntry
from llmops.recipe.schema import Compare
from llmops.records import ModelFiles

ECHO = '''
from llmops.engine import Capabilities, Engine
from llmops.records import Answer

class EchoEngine(Engine):
    """Answers with the side's label and the question."""

    def __init__(self, sides, *, options):
        self.sides, self.options = sides, options

    @property
    def capabilities(self):
        return Capabilities(likelihood=False, stream=False, completion=False)

    def answer(self, requests, *, batch_size=None):
        for request in requests:
            text = f"{request.side.label}: {request.messages[-1]['content']}"
            yield request.key, Answer(text, len(text), 1, "stop")

    def close(self):
        pass
'''


@pytest.fixture
def _echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that is not ours, with an engine in it."""
    package = tmp_path / "their_engines"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "echo.py").write_text(ECHO)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ENGINES, "echo", EngineEntry("their_engines.echo:EchoEngine"))  # the line
    yield
    for name in [name for name in sys.modules if name.startswith("their_engines")]:
        del sys.modules[name]


@pytest.mark.usefixtures("_echo")
def test_a_new_engine_is_one_module_and_one_line(
    base: ModelFiles, store: str, tiny_model: Path, tmp_path: Path
) -> None:
    engine = open_engine("echo", [base])
    (answer,) = answer_all(engine, [Request(base, CONVERSATIONS[1], GREEDY)])
    assert answer.text == "base: Split a pathname."
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        for file in tiny_model.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        settings = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**settings, "name": name}))
        flavor.add_base(folder, name)
    suite = tmp_path / "suite.jsonl"
    suite.write_text(
        "".join(
            json.dumps({"id": f"q{i}", "prompt": f"Say {i}.", "expected": "x"}) + "\n"
            for i in range(12)
        )
    )
    config = Compare(engine="echo", method="fixed", max_tokens=8)
    found = compare("one", "two", suite, config, scorers=["regex:Say 1"])
    assert {row.baseline.text for row in found.rows} == {f"one/1: Say {i}." for i in range(12)}
    with pytest.raises(UsageError, match="engine echo returns answers only, not their likelihood"):
        compare("one", "two", suite, config, scorers=["likelihood"])


def test_an_unknown_engine(base: ModelFiles) -> None:
    with pytest.raises(UsageError, match="engine 'ray': unknown; allowed: local, vllm, openai"):
        open_engine("ray", [base])
    with pytest.raises(ValueError, match="engine 'openai': unknown; allowed: local, vllm"):
        Compare(engine="openai")


def test_only_the_engine_that_is_opened_is_imported() -> None:
    code = """
import sys
from llmops.engine import open_engine
from llmops.engine.openai.endpoint import remote_model
open_engine("openai", [remote_model("openai:http://127.0.0.1:9/v1#bot")])
heavy = {"torch", "transformers", "llmops.engine.local.engine", "llmops.engine.vllm.engine"}
print(sorted(heavy & set(sys.modules)))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"[]\n"


def test_a_side_whose_files_are_elsewhere_is_not_loaded(base: ModelFiles) -> None:
    remote = remote_model("openai:http://127.0.0.1:9/v1#bot")
    for name in ("local", "vllm"):
        with pytest.raises(UsageError, match="a model behind a URL has no files to load"):
            open_engine(name, [base, remote])
