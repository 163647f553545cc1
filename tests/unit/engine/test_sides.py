from __future__ import annotations

from dataclasses import replace

import pytest

from llmops.engine.openai.endpoint import remote_model
from llmops.engine.sides import common_base, context_of, files_of
from llmops.errors import UsageError
from llmops.records import ModelFiles


def test_the_context_has_several_names() -> None:
    from transformers import BloomConfig, GPT2Config, MptConfig

    assert context_of(GPT2Config(n_positions=77), "base") == 77
    assert context_of(MptConfig(max_seq_len=78), "base") == 78
    with pytest.raises(
        UsageError, match=r"base: its config\.json does not state the context length"
    ):
        context_of(BloomConfig(), "base")


def test_sides_of_one_engine_share_a_base(base: ModelFiles, tuned: ModelFiles) -> None:
    assert common_base([base, tuned]) == base.base
    other = replace(tuned, base=replace(tuned.base, uri="models:/other/1", digest="0" * 64))
    with pytest.raises(UsageError, match=r"models:/other/1, models:/tiny/1\): one engine serves"):
        common_base([base, other])


def test_a_model_behind_a_url_has_no_files(base: ModelFiles) -> None:
    assert files_of([base]) == [base]
    with pytest.raises(UsageError, match="openai:http://x/v1#bot: a model behind a URL"):
        files_of([base, remote_model("openai:http://x/v1#bot")])
