"""A cache that grows in place holds what transformers' own cache holds."""

from __future__ import annotations

import pytest
import torch
import transformers
from transformers.cache_utils import DynamicLayer

from llmops.engine.local.decode.kv_cache import ROOM, GrowingLayer, add_rows, cache_argument, select


def states(rows: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(rows, 3, tokens, 8), torch.rand(rows, 3, tokens, 8)


def test_it_holds_what_the_layer_of_transformers_holds() -> None:
    torch.manual_seed(0)
    ours, theirs = GrowingLayer(), DynamicLayer()
    for i, tokens in enumerate([7, *[1] * (ROOM + 5), 3, 1]):
        if i == 10:  # a prefix that others share, and rows that have ended
            for layer in (ours, theirs):
                layer.batch_select_indices(torch.tensor([1, 1, 0]))
        new = states(2 if i < 10 else 3, tokens)
        for found, expected in zip(ours.update(*new), theirs.update(*new), strict=True):
            assert torch.equal(found, expected)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1) == theirs.get_mask_sizes(1)


def test_a_token_is_written_without_a_copy() -> None:
    layer = GrowingLayer()
    first, _ = layer.update(*states(2, 7))
    places = {layer.update(*states(2, 1))[0].data_ptr() for _ in range(ROOM)}
    assert places == {first.data_ptr()}
    assert layer.update(*states(2, 1))[0].data_ptr() != first.data_ptr()


def test_rows_that_were_taken_away_are_not_written_to() -> None:
    layer = GrowingLayer()
    before, _ = layer.update(*states(2, 7))
    kept = before.clone()
    layer.batch_select_indices(torch.tensor([0]))
    layer.update(*states(1, 1))
    assert torch.equal(before, kept)
    assert layer.get_seq_length() == 8


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("5.23.0", "past_key_values"),
        ("5.24.0", "cache"),
        ("5.24.0.dev0", "cache"),
        ("6.0", "cache"),
    ],
)
def test_the_cache_has_the_name_that_transformers_takes_without_a_warning(
    version: str, name: str
) -> None:
    assert cache_argument("the cache", version) == {name: "the cache"}


@pytest.mark.parametrize("kind", ["full_attention", "sliding_attention"])
def test_caches_of_different_lengths_become_one(kind: str) -> None:
    from transformers import LlamaConfig

    window = 6
    config = LlamaConfig(num_hidden_layers=1, layer_types=[kind], sliding_window=window)
    kept = window - 1 if kind == "sliding_attention" else 99
    caches = [transformers.DynamicCache(config=config) for _ in range(2)]
    for cache, rows, tokens in ((caches[0], 2, 9), (caches[1], 1, 4)):
        if kind == "full_attention":
            cache.layers = [GrowingLayer()]
        for _ in range(tokens):
            cache.update(*states(rows, 1), 0)
    a, b = (cache.layers[0].keys.clone() for cache in caches)
    places = torch.tensor([0, 2]), torch.tensor([1])
    add_rows(caches[0], caches[1], places)
    layer = caches[0].layers[0]
    width = min(9, kept)
    assert layer.get_seq_length() == 9
    assert torch.equal(layer.keys[[0, 2]], a)
    assert torch.equal(layer.keys[1, :, width - b.shape[-2] :], b[0])
    assert not layer.keys[1, :, : width - b.shape[-2]].any(), "padding holds no NaN"
    select(caches[0], torch.tensor([1]), 5)
    assert layer.get_seq_length() == 4
    assert torch.equal(layer.keys, b[..., -4:, :])
    caches[0].update(*states(1, 1), 0)
    assert layer.get_seq_length() == 5
