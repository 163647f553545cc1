"""A tiny random Llama with its own tokenizer, and adapters for it: seconds instead of minutes."""

from __future__ import annotations

from pathlib import Path

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


def build_tiny_model(directory: Path, *, seed: int = 0, hidden_size: int = 32) -> Path:
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
        hidden_size=hidden_size,
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


def build_vivid_model(directory: Path) -> Path:
    """Writes a tiny model for vLLM, whose attention needs heads of 32; its weights are larger.

    With its own weights the model repeats one token, whatever is asked.
    """
    from safetensors.torch import load_file, save_file

    build_tiny_model(directory, hidden_size=128)
    weights = load_file(directory / "model.safetensors")
    larger = {name: w * 10 if w.ndim > 1 else w for name, w in weights.items()}
    save_file(larger, directory / "model.safetensors", metadata={"format": "pt"})
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
