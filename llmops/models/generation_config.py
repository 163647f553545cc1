"""What a model's own ``generation_config.json`` decides about its answers.

The request says how long, how warm and how many; the file says where an answer ends. Settings
that would change answers and that llmops does not do are refused, never dropped in silence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, UsageError
from llmops.models import safety

FILE = "generation_config.json"
HONOURED = ("eos_token_id", "repetition_penalty", "suppress_tokens")
REQUESTED = (
    "do_sample",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "max_length",
    "max_new_tokens",
)
"""Left to the request."""
HARMLESS = (
    "_from_model_config",
    "transformers_version",
    "bos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "use_cache",
    "cache_implementation",
    "return_dict_in_generate",
    "output_scores",
    "output_logits",
    "output_attentions",
    "output_hidden_states",
    "early_stopping",
    "renormalize_logits",
    "remove_invalid_values",
)
"""Without effect on a text."""


@dataclass(frozen=True)
class Generation:
    """The settings that count.

    Attributes:
        end_ids: Tokens that end an answer.
        repetition_penalty: Divides the logits of tokens that are there already; 1 is none.
        suppressed: Tokens that are never generated.
    """

    end_ids: tuple[int, ...] = ()
    repetition_penalty: float = 1.0
    suppressed: tuple[int, ...] = ()


def of_model(directory: Path) -> Generation:
    """A model's settings; older checkpoints write them into ``config.json``.

    Raises:
        UsageError: See ``read``.
        IntegrityError: See ``read``.
    """
    if (directory / FILE).is_file():
        return read(directory / FILE)
    config = safety.read_json(directory / safety.CONFIG)
    return Generation(_ids(config, "eos_token_id", directory / safety.CONFIG))


def read(file: Path) -> Generation:
    """Reads a ``generation_config.json``.

    Raises:
        UsageError: A setting that would change answers and that llmops does not do.
        IntegrityError: Not JSON, or a value that no model can have.
    """
    settings = safety.read_json(file)
    known = (*HONOURED, *REQUESTED, *HARMLESS)
    odd = sorted(key for key, value in settings.items() if key not in known and not _neutral(value))
    if odd:
        raise UsageError(
            f"{file}: sets {', '.join(odd)}, which llmops does not do; it reads {', '.join(HONOURED)}",
            next_command=f"take {', '.join(odd)} out of a copy of the file, and log that",
        )
    penalty = settings.get("repetition_penalty") or 1.0
    if isinstance(penalty, (bool, str, list, dict)) or not 0 < penalty < math.inf:
        raise IntegrityError(
            f"{file}: repetition_penalty must be a number above 0, received {penalty!r:.80}"
        )
    return Generation(
        _ids(settings, "eos_token_id", file),
        float(penalty),
        _ids(settings, "suppress_tokens", file),
    )


def _ids(settings: dict[str, Any], key: str, file: Path) -> tuple[int, ...]:
    value = settings.get(key)
    ids = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in ids):
        raise IntegrityError(f"{file}: {key} must be token ids, received {value!r:.80}")
    return tuple(ids)


def _neutral(value: Any) -> bool:
    """What transformers writes where a setting does nothing."""
    return value is None or value is False or (value is not True and value in (0, 1, "", [], {}))
