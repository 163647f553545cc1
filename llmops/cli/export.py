"""``llmops export``: write a version as files for vLLM, transformers, llama.cpp or Ollama."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from llmops.cli.options import emit, output_option

if TYPE_CHECKING:
    from llmops.flavor.export.version import Export


@click.command("export")
@click.argument("uri", metavar="MODEL_URI")
@click.argument("directory")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["merged", "adapter", "gguf"]),
    default="merged",
    show_default=True,
    help="merged: one Hugging Face model; adapter: PEFT, for vLLM; gguf: for llama.cpp and Ollama.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Data type of the weights. Default: float32; for gguf float16; for a full model its own.",
)
@click.option(
    "--converter",
    metavar="COMMAND",
    help="Command that runs llama.cpp's convert_hf_to_gguf.py. Default: llama-convert-hf-to-gguf.",
)
@output_option
def command(
    uri: str, directory: str, format_: str, dtype: str | None, converter: str | None, output: str
) -> None:
    """Write MODEL_URI to DIRECTORY, so that other programs can serve it.

    Example: llmops export models:/quickstart@champion ./champion
    """
    from llmops.flavor.export.version import export
    from llmops.store import connection

    connection.connect()
    done = export(uri, directory, format=format_, dtype=dtype, converter=converter)
    next_commands = [shlex.join(words) for words in _serving(done)]
    emit(output, _text(done, next_commands), {**asdict(done), "next": next_commands})


def _text(done: Export, next_commands: list[str]) -> str:
    from humanize import naturalsize

    lines = [
        f"{done.uri} is in {done.directory}: {done.format}, {naturalsize(done.size)}",
        f"digest {done.digest}",
    ]
    if done.difference is not None:
        lines.append(
            f"read back: logits differ from the version's by at most {done.difference:.2g}"
        )
    return "\n".join([*lines, *(f"  Next: {line}" for line in next_commands)])


def _serving(done: Export) -> list[list[str]]:
    """Return the command lines that serve what was written."""
    place, name = str(done.directory), done.directory.absolute().name
    if done.format == "gguf":
        return [["llama-server", "-m", f"{place}/model.gguf", "--alias", name]]
    if done.format == "merged":
        return [["vllm", "serve", place, "--served-model-name", name]]
    return _serving_adapter(done, place, name)


def _serving_adapter(done: Export, place: str, name: str) -> list[list[str]]:
    from llmops.models import adapters, safety, vllm_limits

    config = safety.read_json(done.directory / adapters.CONFIG)
    rank = str(vllm_limits.vllm_rank(config["r"]))
    # On a CPU, vLLM 0.32 uses the adapter in the last slot for requests to the base: add a slot.
    lora = ["--enable-lora", "--max-loras", "2", "--max-lora-rank", rank]
    lora += ["--lora-modules", f"{name}={place}"]
    own = {
        "tokenizer_config.json": ["--tokenizer", place],
        "chat_template.jinja": ["--chat-template", f"{place}/chat_template.jinja"],
        "generation_config.json": ["--generation-config", place],
    }
    for file, option in own.items():
        lora += option if (done.directory / file).is_file() else []
    base = config["base_model_name_or_path"]
    if config["revision"] is not None:
        return [["vllm", "serve", base, "--revision", config["revision"], *lora]]
    if done.base_uri.startswith("models:/"):  # as a copy that transformers 4 can read
        copy = f"{place}-base"
        return [["llmops", "export", done.base_uri, copy], ["vllm", "serve", copy, *lora]]
    return [["vllm", "serve", base, *lora]]
