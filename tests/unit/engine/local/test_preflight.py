"""What could not be loaded or prompted later is refused before it is stored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmops.engine.local.preflight import check_model, check_tokenizer
from llmops.errors import IntegrityError, LlmopsError, UsageError

TEMPLATE = "chat_template.jinja"
REFUSING = "{{ raise_exception('the first message must be a system message') }}"


@pytest.fixture
def model(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


def wrong_layers(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 9}))


def no_tokenizer(model: Path) -> None:
    for file in model.glob("tokenizer*"):
        file.unlink()


def no_context(model: Path) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    config = BloomConfig(vocab_size=1_000, hidden_size=8, n_layer=1, n_head=2)
    BloomForCausalLM(config).save_pretrained(model)


def test_a_context_that_the_user_states_is_enough(model: Path) -> None:
    no_context(model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 2048}))
    check_model(model)


def test_a_whole_model_passes(model: Path) -> None:
    check_model(model)


def test_a_template_may_refuse_the_probe(model: Path) -> None:
    (model / TEMPLATE).write_text(REFUSING)
    check_model(model)


@pytest.mark.parametrize(
    ("damage", "error", "problem"),
    [
        (no_tokenizer, UsageError, "has no tokenizer"),
        (no_context, UsageError, "does not state the context length"),
        (wrong_layers, IntegrityError, "lacks weights that the model needs"),
        (
            lambda model: (model / TEMPLATE).write_text("{% if %}"),
            IntegrityError,
            "the chat template is damaged",
        ),
        (
            lambda model: (model / "tokenizer.json").write_text("{}"),
            IntegrityError,
            "the tokenizer cannot be loaded",
        ),
        (
            lambda model: (model / "generation_config.json").write_text('{"num_beams": 4}'),
            UsageError,
            "num_beams",
        ),
    ],
)
def test_a_model_that_could_not_be_used_is_refused(
    model: Path, damage: Callable[[Path], Any], error: type[LlmopsError], problem: str
) -> None:
    damage(model)
    with pytest.raises(error, match=problem):
        check_model(model)


def test_weights_are_compared_without_being_read(model: Path) -> None:
    file = model / "model.safetensors"
    with file.open("r+b") as weights:  # the header stays whole
        weights.seek(-1_000, 2)
        weights.write(b"\xff" * 1_000)
    check_model(model)


def test_a_version_s_own_template_is_checked(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    check_tokenizer(own, folder)
    (own / TEMPLATE).write_text(REFUSING)
    check_tokenizer(own, folder)
    (own / TEMPLATE).write_text("{% for %}")
    with pytest.raises(IntegrityError, match=r"own: the chat template is damaged"):
        check_tokenizer(own, folder)
