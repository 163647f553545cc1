"""What a scorer is."""

from __future__ import annotations

from pathlib import Path

from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scorer import named_scorer
from llmops.files import digest
from llmops.recipe import scorer_names


def test_a_digest_is_of_what_a_scorer_does(tmp_path: Path) -> None:
    def digest_of(spec: str) -> str:
        return load_scorers([spec], folder=tmp_path)[0].digest

    assert digest_of("exact") == digest_of("strict=exact") != digest_of("token_f1")
    assert digest_of("regex:a") == digest_of("x=regex:a") != digest_of("regex:b")
    (tmp_path / "s.json").write_text('{"type": "integer"}')
    before = digest_of("json_schema:s.json")
    (tmp_path / "t.json").write_text('{"type": "integer"}')
    assert digest_of("json_schema:t.json") == before
    (tmp_path / "s.json").write_text("{}")
    assert digest_of("json_schema:s.json") != before


def test_a_name_its_entry_and_its_own_word_make_a_scorer() -> None:
    name = scorer_names.parse("short=regex:^.{1,3}$")
    scorer = named_scorer(name, None)
    assert (scorer.name, scorer.spec, scorer.needs_expected) == ("short", "regex:^.{1,3}$", False)
    assert scorer.digest == digest.of_record(["regex", "^.{1,3}$"])
    assert named_scorer(name, None, needs_expected=True).needs_expected
    assert named_scorer(name, None, source="text").digest == digest.of_record(["regex", "text"])
    assert named_scorer(scorer_names.parse("exact"), None).needs_expected


def test_only_what_nobody_else_judges_is_a_likelihood() -> None:
    name = scorer_names.parse("exact")
    assert named_scorer(name, None).is_likelihood
    assert not named_scorer(name, lambda _, answer: 1.0).is_likelihood
