"""GGUF files, written by llama.cpp's converter in its own environment.

llama.cpp publishes no converter on the package index, and pins libraries that conflict with ours. A
package of a similar name on the index overwrites files of the package ``gguf``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from llmops.errors import IntegrityError, LlmopsError, UsageError
from llmops.flavor.tokenizers import default_template

COMMAND = "llama-convert-hf-to-gguf"
"""Name of llama.cpp's converter where it is installed."""
FILE = "model.gguf"
OUTPUT_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
TEMPLATE = "tokenizer.chat_template"
INSTALL = """\
git clone --depth 1 https://github.com/ggml-org/llama.cpp
    python -m venv llama.cpp/.venv
    llama.cpp/.venv/bin/pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
  then rerun with
    --converter 'llama.cpp/.venv/bin/python llama.cpp/convert_hf_to_gguf.py'
  or convert the output of `llmops export URI DIRECTORY --format merged` yourself:
    llama.cpp/.venv/bin/python llama.cpp/convert_hf_to_gguf.py DIRECTORY --outfile model.gguf --outtype f16"""


def find(command: str | None) -> list[str]:
    """Return the converter's command line as a list of words.

    Args:
        command: A command such as ``python llama.cpp/convert_hf_to_gguf.py``; ``None`` is
            ``COMMAND``.

    Raises:
        UsageError: There is no such program, or the command cannot be split into words.
    """
    try:
        words = shlex.split(COMMAND if command is None else command)
    except ValueError as error:
        raise UsageError(f"converter {command!r}: {error}") from error
    program = shutil.which(words[0]) if words else None
    if program is None:
        missing = words[0] if words else "(empty command)"
        raise UsageError(
            "GGUF export is not built in: it runs llama.cpp's convert_hf_to_gguf.py, and"
            f" this machine has no program {missing}",
            next_command=INSTALL,
        )
    return [program, *words[1:]]


def convert(converter: list[str], model_dir: Path, file: Path, *, dtype: str, name: str) -> None:
    """Convert a merged directory to a GGUF file.

    Args:
        converter: See ``find``.
        model_dir: A Hugging Face directory.
        file: GGUF file to write.
        dtype: Type of the weights, a key of ``OUTPUT_TYPES``.
        name: Name of the model in the file.

    Raises:
        LlmopsError: The command failed, or wrote no file.
        IntegrityError: The chat template in the file is not the model's.
    """
    options = ["--outfile", str(file), "--outtype", OUTPUT_TYPES[dtype], "--model-name", name]
    code, last_line = _run([*converter, str(model_dir), *options])
    if code != 0 or not file.is_file():
        wrote = "a file" if file.is_file() else "no file"
        raise LlmopsError(
            f"{shlex.join(converter)}: exit code {code}, {wrote} written; last line of output: {last_line}",
            next_command="run it yourself on the output of `llmops export URI DIRECTORY --format merged`",
        )
    _check_template(model_dir, file)


def _run(command: list[str]) -> tuple[int, str]:
    """Run a program, killed on interruption; return its exit code and last line of output."""
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

    expected = default_template(model_dir)
    field = GGUFReader(file).get_field(TEMPLATE)
    template = None if field is None else field.contents()
    if template != expected:
        raise IntegrityError(
            f"{file.name}: its chat template is not the model's: {str(template)[:60]!r}…",
            next_command="update llama.cpp (`git -C llama.cpp pull`), then rerun",
        )
