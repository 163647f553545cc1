"""A tiny random Llama, an empty SQLite store and an empty home for every test: no mocks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tiny matrices: more threads only get in each other's way
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

CORPUS = [
    "Return the last access time of a file.",
    "Split a pathname. Join two or more pathname components.",
    "def wrap(text, width=70): def split(p): def getatime(filename):",
    "Write a one-line docstring for this Python function.",
    "system user assistant",
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tiny_model(directory: Path, *, seed: int = 0) -> Path:
    """Writes a two-layer random Llama with its own tokenizer and chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|im_end|>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(directory)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    return directory


def build_tiny_adapter(base: Path, directory: Path, *, seed: int = 1, rank: int = 4) -> Path:
    """Writes a LoRA adapter of the tiny model whose weights are not zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_adapter(tiny_model, tmp_path_factory.mktemp("tiny-adapter") / "adapter")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_HOME", str(tmp_path / "home"))
    for name in (
        "MLFLOW_RUN_ID",
        "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_EXPERIMENT_NAME",
        "LLMOPS_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store: the migrations take seconds, a copy takes none."""
    import mlflow

    path = tmp_path_factory.mktemp("store") / "empty.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _empty_database: Path) -> str:
    """An empty MLflow store of this test's own; returns its tracking URI."""
    import shutil

    import mlflow

    shutil.copy(_empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("tests")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")  # set_experiment exports it
    yield uri
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


RECIPE = """\
schema_version: 1
name: own
data: {{path: own.csv, prompt: q, completion: a}}
train: {{base: {base}, max_steps: 6, batch_size: 4, learning_rate: 1.0e-2, save_steps: 2, lora: {{rank: 4}}}}
flavor: {{model: own}}
compare: {{scorers: [token_f1, likelihood], max_tokens: 8}}
gate: {{require: [{{metric: likelihood, must: not_regress, margin: 0.1}}], min_prompts: 5}}
serve: {{max_tokens: 4}}
"""


@pytest.fixture
def own_recipe(tiny_model: Path, tmp_path: Path) -> Path:
    """A recipe on the tiny model and sixty rows of a user's own, in the working directory."""
    rows = [f"Split a pathname {i}.,Return the last access time {i}." for i in range(60)]
    (tmp_path / "own.csv").write_text("\n".join(["q,a", *rows]) + "\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(base=tiny_model))
    return path
