"""GGUF by llama.cpp's own converter: a program in an environment of its own, like vLLM.

llama.cpp publishes no converter on the package index and pins libraries that conflict with ours.
What the package index has under such a name replaces the files of the package ``gguf``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from llmops.errors import IntegrityError, LlmopsError, UsageError

COMMAND = "llama-convert-hf-to-gguf"
"""What llama.cpp calls its installed converter."""
FILE = "model.gguf"
OUTPUT_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
TEMPLATE = "tokenizer.chat_template"
INSTALL = """\
git clone --depth 1 https://github.com/ggml-org/llama.cpp
    python -m venv llama.cpp/.venv
    llama.cpp/.venv/bin/pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
  then the same command with
    --converter 'llama.cpp/.venv/bin/python llama.cpp/convert_hf_to_gguf.py'
  or, by hand, on what `llmops export URI DIRECTORY --format merged` writes,
    llama.cpp/.venv/bin/python llama.cpp/convert_hf_to_gguf.py DIRECTORY --outfile model.gguf --outtype f16"""


def find(command: str | None) -> list[str]:
    """The converter as a command line.

    Args:
        command: Such as ``python llama.cpp/convert_hf_to_gguf.py``; ``None`` is ``COMMAND``.

    Raises:
        UsageError: There is no such program.
    """
    try:
        words = shlex.split(COMMAND if command is None else command)
    except ValueError as error:
        raise UsageError(f"converter {command!r}: {error}") from error
    program = shutil.which(words[0]) if words else None
    if program is None:
        missing = words[0] if words else "an empty command"
        raise UsageError(
            "GGUF export is not built in: it runs llama.cpp's convert_hf_to_gguf.py, and"
            f" {missing} is no program on this machine",
            next_command=INSTALL,
        )
    return [program, *words[1:]]


def convert(converter: list[str], model_dir: Path, file: Path, *, dtype: str, name: str) -> None:
    """Converts a merged directory.

    Args:
        converter: See ``find``.
        model_dir: A Hugging Face directory.
        file: GGUF file to write.
        dtype: Of the weights.
        name: What the file calls the model.

    Raises:
        LlmopsError: The converter failed, or is something else.
        IntegrityError: The file holds another chat template than the model.
    """
    options = ["--outfile", str(file), "--outtype", OUTPUT_TYPES[dtype], "--model-name", name]
    code, said = _run([*converter, str(model_dir), *options])
    if code != 0 or not file.is_file():
        wrote = "a file" if file.is_file() else "no file"
        raise LlmopsError(
            f"{shlex.join(converter)}: exit code {code}, {wrote} written; it said last: {said}",
            next_command="run it by hand on what `llmops export URI DIRECTORY --format merged` writes",
        )
    _check_template(model_dir, file)


def _run(command: list[str]) -> tuple[int, str]:
    """Exit code and last line of a program, which does not outlive an interruption."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process.returncode, (output.strip() or "nothing").splitlines()[-1]


def _check_template(model_dir: Path, file: Path) -> None:
    from gguf import GGUFReader
    from transformers import AutoTokenizer

    expected = AutoTokenizer.from_pretrained(model_dir, trust_remote_code=False).chat_template
    field = GGUFReader(file).get_field(TEMPLATE)
    found = None if field is None else field.contents()
    if found != expected:
        raise IntegrityError(
            f"{file.name}: its chat template is not the model's: {str(found)[:60]!r}…",
            next_command="update llama.cpp (`git -C llama.cpp pull`), then the same command again",
        )
