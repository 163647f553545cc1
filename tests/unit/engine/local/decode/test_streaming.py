"""What is held back of a text that is still being generated."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from sides import generate

from llmops.engine import Request
from llmops.engine.chat_format import ChatFormat
from llmops.engine.local.decode.streaming import JOINED, StableText, TextStream, cut
from llmops.engine.local.engine import LocalEngine
from llmops.models.generation_config import Generation
from llmops.records import Answer, ModelFiles, Sampling


def done(text: str) -> Answer:
    return Answer(text, 3, 1, "stop")


@pytest.mark.parametrize(
    ("pieces", "stops", "text", "expected"),
    [
        (["ab", "cd"], (), "abcd", ["ab", "cd"]),
        (["ab EN", "D tail"], ("END",), "ab ", ["ab "]),
        (["ab EN", "TER"], ("END",), "ab ENTER", ["ab ", "ENTER"]),
        (["ab E"], ("END",), "ab E", ["ab ", "E"]),
        (["aXbY", "c"], ("Y", "X"), "a", ["a"]),
        (["x\n", "\ny"], ("\n\n",), "x", ["x"]),
    ],
)
def test_no_part_of_a_stop_string_is_sent(
    pieces: list[str], stops: tuple[str, ...], text: str, expected: list[str]
) -> None:
    *sent, answer = cut([*pieces, done(text)], stops)
    assert sent == expected
    assert answer == done(text)


def test_a_stream_never_shows_a_stop_string(engine: LocalEngine, tuned: ModelFiles) -> None:
    prompt = [{"role": "user", "content": "Split a pathname."}]
    (whole,) = generate(engine, tuned, [prompt], Sampling(max_tokens=24))
    stop = whole.text[6:9]
    *pieces, last = engine.stream(Request(tuned, prompt, Sampling(max_tokens=24, stop=(stop,))))
    assert "".join(map(str, pieces)) == whole.text[: whole.text.index(stop)] == last.text


def sentencepiece() -> Any:
    """A tokenizer as Llama 2 has it: ``▁`` for blanks, bytes for unknown characters."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    special = ["<unk>", "<s>", "</s>", *byte_tokens]
    words = ["▁def", "▁total", "▁a", "▁+", "▁▁▁", "):"]
    tokenizer.train_from_iterator(
        words * 3, trainers.BpeTrainer(vocab_size=330, special_tokens=special, show_progress=False)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = content["added_tokens"][:3]  # bytes are no special tokens
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(content)), unk_token="<unk>"
    )


def with_decoder(decoder: Any, vocabulary: list[str]) -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    ids = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=vocabulary[0]))
    tokenizer.decoder = decoder
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=vocabulary[0])


def kinds() -> dict[str, Any]:
    from tokenizers import decoders

    pieces = ["<unk>", "▁a", "b", "▁▁", "\n", ".", "▁"]
    clip = ["<unk>", "a</w>", "b", "c</w>", "!</w>"]
    words = ["[UNK]", "do", "##es", "n", "##'t", "not", ".", "'", "s"]
    cleaned = with_decoder(decoders.WordPiece(cleanup=False), words)
    cleaned.clean_up_tokenization_spaces = True
    return {
        "byte fallback": sentencepiece(),
        "Metaspace": with_decoder(decoders.Metaspace(), pieces),
        "CLIP": with_decoder(decoders.BPEDecoder(), clip),
        "WordPiece": with_decoder(decoders.WordPiece(), words),
        "cleaned": cleaned,
    }


@pytest.mark.parametrize("kind", ["byte fallback", "Metaspace", "CLIP", "WordPiece", "cleaned"])
def test_pieces_of_any_tokens_are_the_beginning_of_the_whole(kind: str) -> None:
    chat_format = ChatFormat(kinds()[kind], Generation())
    rng = random.Random(0)
    size = len(chat_format.tokenizer)
    for _ in range(60):
        ids = [rng.randrange(1, size) for _ in range(rng.randrange(1, 150))]
        decoder = StableText(chat_format)
        streamed = "".join(decoder.add(token) for token in ids)
        whole = chat_format.text(ids)
        assert whole.startswith(streamed)
        if "�" not in whole and kind != "byte fallback":
            assert len(whole) - len(streamed) <= JOINED


def test_text_without_blanks_streams_token_by_token_and_no_blank_is_lost() -> None:
    chat_format = ChatFormat(sentencepiece(), Generation())
    for text in ("def\n    total):\n  a + a", "):):):):", "a日本語a"):
        ids = chat_format.token_ids(text)
        decoder = StableText(chat_format)
        streamed = [decoder.add(token) for token in ids]
        assert "".join(streamed) == chat_format.text(ids) == text
    assert len([piece for piece in streamed if piece]) > 1
    ids = chat_format.token_ids("):):):):")
    decoder = StableText(chat_format)
    assert all([decoder.add(token) for token in ids][1:])


def test_half_a_character_and_a_run_of_bytes_are_held_back() -> None:
    chat_format = ChatFormat(sentencepiece(), Generation())
    byte = chat_format.tokenizer.convert_tokens_to_ids
    decoder = StableText(chat_format)
    ids = [byte(f"<0x{b:02X}>") for b in "€".encode()]
    assert [decoder.add(token) for token in ids] == ["", "", ""]
    # One wrong byte, and the whole run decodes to other characters.
    assert decoder.add(byte("<0xFF>")) == ""
    assert decoder.add(byte("a")) == "����a" == chat_format.text([*ids, byte("<0xFF>"), byte("a")])


def test_the_prompt_and_the_end_token_are_no_text() -> None:
    import torch

    chat_format = ChatFormat(sentencepiece(), Generation(end_ids=(259,)))
    (token,) = chat_format.tokenizer.convert_tokens_to_ids(["a"])
    stream = TextStream(chat_format)
    stream.put(torch.tensor([[token, token]]))
    for new in (token, token, 259):
        stream.put(torch.tensor([new]))
    stream.end()
    stream.close()
    assert "".join(stream) == "aa"
