"""The converter is a program of its own: missing, failing or interrupted, it leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from exports import adapter_logits, logits_of, names
from tiny_models import build_tiny_adapter
from transformers import AutoModelForCausalLM
from versions import log_version

from llmops import flavor
from llmops.errors import IntegrityError, LlmopsError, UsageError
from llmops.flavor.export import gguf
from llmops.flavor.export.version import export
from llmops.records import ModelVersion

# A converter is a process of its own, so it can stop the export at a known point.


INTERRUPTS = "sh -c 'kill -INT $PPID; exec sleep 60'"


KILLS = "sh -c 'kill -9 $PPID'"


FAILS = "sh -c 'echo Model X is not supported >&2; exit 3'"


WRITES_NOTHING = "true"


EXPORT_GGUF = """
import sys
from llmops.flavor.export.version import export
export(*sys.argv[1:3], format="gguf", converter=sys.argv[3])
"""


def test_ctrl_c_leaves_nothing(version: ModelVersion, place: Path) -> None:
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            export(version.uri, place / "bot", format="gguf", converter=INTERRUPTS)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert names(place) == set()


def test_kill_9_leaves_hidden_files_that_the_next_export_removes(
    version: ModelVersion, place: Path
) -> None:
    words = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        EXPORT_GGUF,
        version.uri,
        str(place / "bot"),
        KILLS,
    ]
    done = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert names(place) == {".bot.exporting", ".bot.exporting.lock"}
    export(version.uri, place / "bot", format="adapter")
    assert names(place) == {"bot"}


def test_gguf_without_a_converter_says_what_to_run(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(UsageError, match="GGUF export is not built in") as caught:
        export("models:/bot/1", place / "bot", format="gguf")
    assert "llama.cpp/convert_hf_to_gguf.py DIRECTORY --outfile" in str(caught.value)
    assert "--format merged" in str(caught.value)
    for wrong in ("", "no-such-program x.py", "python 'unclosed"):
        with pytest.raises(UsageError):
            export("models:/bot/1", place / "bot", format="gguf", converter=wrong)


@pytest.mark.parametrize(
    ("converter", "said"), [(FAILS, "Model X is not supported"), (WRITES_NOTHING, "no file")]
)
def test_a_converter_that_fails(
    version: ModelVersion, place: Path, converter: str, said: str
) -> None:
    with pytest.raises(LlmopsError, match=said):
        export(version.uri, place / "bot", format="gguf", converter=converter)
    assert names(place) == set()


@pytest.mark.e2e
@pytest.mark.skipif(
    shutil.which(gguf.COMMAND) is None, reason=f"llama.cpp's {gguf.COMMAND} is not on the PATH"
)
def test_gguf_holds_the_model_and_its_template(store: str, place: Path) -> None:
    # The tiny model will not do: llama.cpp knows tokenizers by name, and not this one.
    base = flavor.ensure_base("smollm2-135m-instruct")
    adapter = build_tiny_adapter(base.directory, place.parent / "adapter")
    version = log_version(adapter, base, "bot")
    export(version.uri, place / "gguf", format="gguf", dtype="float32")
    back = AutoModelForCausalLM.from_pretrained(place / "gguf", gguf_file=gguf.FILE)
    expected = adapter_logits(base.directory, adapter)
    torch.testing.assert_close(logits_of(back), expected, atol=1e-2, rtol=1e-3)


def test_the_command_of_a_converter_is_looked_up_on_this_machine() -> None:
    program, script = gguf.find("sh 'my folder/convert.py'")
    assert Path(program).is_absolute()
    assert script == "my folder/convert.py"


def test_a_file_of_another_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    from gguf import GGUFWriter

    converter = tmp_path / "convert.sh"
    converter.write_text('#!/bin/sh\ncp "$(dirname "$0")/made.gguf" "$3"\n')
    converter.chmod(0o755)
    writer = GGUFWriter(tmp_path / "made.gguf", "llama")
    writer.add_chat_template("{{ nothing }}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(
        IntegrityError, match=r"its chat template is not the model's: '\{\{ nothing"
    ):
        gguf.convert(
            [str(converter)], tiny_model, tmp_path / "out.gguf", dtype="float16", name="bot"
        )
