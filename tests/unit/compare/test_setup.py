"""What is refused before anything is generated, and when a comparison may stop."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from trained import HELD_OUT, TRAINED, log_trained, other_base, suite_file
from versions import log_version

from llmops.compare.setup import MOST_SIDES, Options, set_up
from llmops.errors import DataError, UsageError
from llmops.recipe.schema import Compare, Requirement
from llmops.records import BaseModel, ModelVersion, RemoteModel
from llmops.store import connection

CONFIG = Compare(scorers=("token_f1", "likelihood"), confidence=0.9)
REMOTE = RemoteModel("m", "openai:http://127.0.0.1:9/v1#m", "d" * 64)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return suite_file(tmp_path / "suite.jsonl")


def test_a_setup_has_the_baseline_first_and_asks_of_the_first_scorer(
    version: ModelVersion, suite: Path
) -> None:
    found = set_up("tiny", [version.uri], suite, CONFIG, Options(min_prompts=7))
    assert [side.label for side in found.sides] == ["base", "v1"]
    assert [scorer.name for scorer in found.scorers] == ["token_f1", "likelihood"]
    assert found.plan.questions == (Requirement(metric="token_f1", must="improve"),)
    assert (found.plan.min_prompts, found.plan.confidence) == (7, 0.9)
    assert len(found.exclusion.fresh) == len(HELD_OUT)


def test_the_order_of_prompts_follows_from_suite_and_sides(
    version: ModelVersion, suite: Path, tmp_path: Path
) -> None:
    def seed(*sides: str, of: Path = suite) -> int:
        return set_up(sides[0], sides[1:], of, CONFIG, Options()).plan.seed

    other = suite_file(tmp_path / "other.jsonl", HELD_OUT[1:])
    seeds = [
        seed("tiny", version.uri),
        seed("tiny", version.uri, of=other),
    ]
    assert len(set(seeds)) == 2
    assert seed(version.uri, "tiny") == seeds[0], "swapped sides meet the same order"


@pytest.mark.parametrize("count", [0, MOST_SIDES])
def test_no_candidate_and_too_many_are_refused(count: int, suite: Path) -> None:
    with pytest.raises(UsageError, match=f"{count} candidates; allowed: 1 to 25"):
        set_up("tiny", ["models:/bot/1"] * count, suite, CONFIG, Options())


def test_a_question_of_no_scorer_is_refused(suite: Path) -> None:
    options = Options(questions=(Requirement(metric="exact", must="improve"),))
    with pytest.raises(
        UsageError, match="no scorer has this name; available: token_f1, likelihood"
    ):
        set_up("tiny", ["models:/bot/1"], suite, CONFIG, options)


@pytest.mark.parametrize(
    "question",
    [
        {"metric": "token_f1", "must": "at_least", "value": 0.5},
        {"metric": "token_f1", "must": "improve", "slice": {"topic": "billing"}},
    ],
)
def test_floors_and_slices_are_no_questions_of_a_comparison(
    question: dict[str, object], suite: Path
) -> None:
    options = Options(questions=(Requirement.model_validate(question),))
    with pytest.raises(UsageError, match="floors and slices are for a gate"):
        set_up("tiny", ["models:/bot/1"], suite, CONFIG, options)


def test_a_likelihood_needs_the_weights_of_every_side(version: ModelVersion, suite: Path) -> None:
    with pytest.raises(UsageError, match=f"scorer likelihood: {REMOTE.uri} returns answers only"):
        set_up(version.uri, [REMOTE], suite, CONFIG, Options())
    config = CONFIG.model_copy(update={"engine": "vllm"})
    with pytest.raises(UsageError, match="scorer likelihood: engine vllm returns answers only"):
        set_up("tiny", [version.uri], suite, config, Options())
    set_up(version.uri, [REMOTE], suite, Compare(scorers=("token_f1",)), Options())


def test_a_gate_sets_aside_what_compare_sets_aside(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    trained = log_trained(tiny_adapter).uri
    suite = suite_file(tmp_path / "leaky.jsonl", [*HELD_OUT, TRAINED[0]])
    for fewest in (0, len(HELD_OUT)):  # compare's, and a gate's that just allows it
        for sides in (("tiny", trained), (trained, "tiny")):
            found = set_up(sides[0], [sides[1]], suite, CONFIG, Options(min_prompts=fewest))
            assert [example.id for example in found.exclusion.trained] == ["q12"]
    with pytest.raises(DataError, match="too few prompts are left to compare: 12, needed: 13"):
        set_up("tiny", [trained], suite, CONFIG, Options(min_prompts=13))


def test_one_adapter_over_two_bases_is_compared_and_a_copy_is_not(
    version: ModelVersion, tiny_adapter: Path, tmp_path: Path, suite: Path
) -> None:
    with mlflow.start_run():
        other = log_version(tiny_adapter, other_base(tmp_path), "bot")
    assert other.adapter_digest == version.adapter_digest
    found = set_up(version.uri, [other.uri], suite, CONFIG, Options())
    assert len({side.digest for side in found.sides}) == 2
    connection.client().copy_model_version(version.uri, "copy")
    for named in (("models:/bot/1", "models:/copy/1"), ("models:/copy/1", "models:/bot/1")):
        with pytest.raises(UsageError, match="are the same bytes: there is nothing to compare"):
            set_up(named[0], [named[1]], suite, CONFIG, Options())
    with pytest.raises(UsageError, match="models:/copy/1 and models:/bot/1 are the same bytes"):
        set_up("tiny", ["models:/bot/1", "models:/copy/1"], suite, CONFIG, Options())


def test_a_side_that_is_its_own_baseline_is_refused(version: ModelVersion, suite: Path) -> None:
    for named in (version.uri, "models:/bot@champion"):
        with pytest.raises(UsageError, match=r"named twice|are the same side, models:/bot/1"):
            set_up(version.uri, [named], suite, CONFIG, Options())
    with pytest.raises(UsageError, match="named twice"):
        set_up(REMOTE, [REMOTE], suite, Compare(scorers=("token_f1",)), Options())
