from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops.data import prepare
from llmops.errors import DataError, NotFoundError
from llmops.files import jsonl
from llmops.recipe.schema import Data
from llmops.texts.normalize import words


def write_csv(
    path: Path, rows: list[tuple[str, ...]], header: str = "prompt,completion,user"
) -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def own_rows(count: int) -> list[tuple[str, ...]]:
    return [(f"question {i}", f"answer {i}", f"user {i % 7}") for i in range(count)]


def test_splits_share_no_group_and_no_text(tmp_path: Path) -> None:
    prepared = prepare(Data(source="stdlib_docstrings"), tmp_path, name="q", seed=7)
    splits = [jsonl.read(split.path) for split in prepared.splits]
    for column in ("group", "prompt", "completion"):
        values = [{row[column] for row in rows} for rows in splits]
        assert not values[0] & values[1]
        assert not values[0] & values[2]
        assert not values[1] & values[2]
    sizes = [split.rows for split in prepared.splits]
    assert abs(sizes[2] / sum(sizes) - 0.2) < 0.02
    assert abs(sizes[1] / sum(sizes) - 0.14) < 0.02


def test_same_seed_same_bytes_other_seed_other_split(tmp_path: Path) -> None:
    config = Data(source="stdlib_docstrings")
    first = prepare(config, tmp_path / "a", name="q", seed=7)
    again = prepare(config, tmp_path / "b", name="q", seed=7)
    other = prepare(config, tmp_path / "c", name="q", seed=8)
    assert first.digest == again.digest
    assert first.train.path.read_bytes() == again.train.path.read_bytes()
    assert first.digest != other.digest


def test_a_group_column_keeps_users_together(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "own.csv", own_rows(70))
    config = Data(path=path, group="user", test_fraction=0.3)
    prepared = prepare(config, tmp_path / "out", name="own", seed=1)
    users = [{row["group"] for row in jsonl.read(split.path)} for split in prepared.splits]
    assert sum(len(group) for group in users) == 7
    assert prepared.test.rows == 20


def labelled(path: Path, rows: int, labels: int) -> Path:
    return write_csv(
        path, [(f"question {i}", f"label {i % labels}", f"user {i % 7}") for i in range(rows)]
    )


def test_every_label_of_the_test_split_can_be_learnt(tmp_path: Path) -> None:
    for rows, labels in ((400, 77), (60, 3), (20, 2), (154, 77)):
        path = labelled(tmp_path / "own.csv", rows, labels)
        prepared = prepare(Data(path=path), tmp_path / "out", name="own", seed=rows)
        train, validation, test = (jsonl.read(split.path) for split in prepared.splits)
        assert len(train) + len(validation) + len(test) == rows
        assert prepared.summary.labels == labels
        assert prepared.summary.unseen == ()
        assert {row["completion"] for row in test} <= {row["completion"] for row in train}
        assert abs(len(test) / rows - 0.2) <= 0.5 * labels / rows


def test_a_group_column_goes_before_labels_and_what_cannot_be_learnt_is_said(
    tmp_path: Path,
) -> None:
    rows = [(f"question {i}", f"label {i % 20}", f"user {i % 20}") for i in range(100)]
    path = write_csv(tmp_path / "own.csv", rows)
    prepared = prepare(Data(path=path, group="user"), tmp_path / "out", name="own", seed=1)
    learnt = {row["completion"] for row in jsonl.read(prepared.train.path)}
    asked = {row["completion"] for row in jsonl.read(prepared.test.path)}
    assert prepared.summary.unseen == tuple(sorted(asked - learnt))
    assert len(prepared.summary.unseen) == len(asked)


def test_one_label_is_refused(tmp_path: Path) -> None:
    path = labelled(tmp_path / "own.csv", 40, 1)
    with pytest.raises(DataError, match=r"every row has the same answer, 'label 0'"):
        prepare(Data(path=path), tmp_path / "out", name="own", seed=1)


def test_what_is_dropped_is_counted(tmp_path: Path) -> None:
    rows = [*own_rows(30), ("question 3", "answer 3", "z"), ("question 4", "another", "z")]
    path = write_csv(tmp_path / "own.csv", rows)
    summary = prepare(Data(path=path), tmp_path / "out", name="own", seed=1).summary
    assert (summary.read, summary.duplicates) == (32, 2)
    assert summary.contradictions == ("row-32",)
    assert summary.unread == ("user",)
    assert summary.labels is None


def test_an_own_test_file_is_the_suite_and_nothing_of_it_is_trained_on(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "own.csv", own_rows(40))
    held_out = [("Question 3!", "answer 3", "u"), *((f"new {i}", f"a {i}", "u") for i in range(9))]
    test = write_csv(tmp_path / "test.csv", held_out)
    config = Data.model_validate({"path": path, "test": {"path": test}})
    prepared = prepare(config, tmp_path / "out", name="own", seed=1)
    assert prepared.test.rows == 10
    assert prepared.train.rows + prepared.validation.rows == 39
    assert prepared.summary.leaked == ("row-4",)
    read = [jsonl.read(split.path) for split in prepared.splits]
    assert not {r["id"] for r in read[0]} & {r["id"] for r in read[2]}
    missing = config.model_copy(update={"test": config.test.model_copy(update={"path": tmp_path})})
    with pytest.raises(NotFoundError, match=r"data\.test\.path: .* is a folder, not a file"):
        prepare(missing, tmp_path / "out", name="own", seed=1)


def test_slices_and_conversations_come_through_to_the_suite(tmp_path: Path) -> None:
    from llmops.compare import load_suite

    turns = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Good day."},
    ]
    rows = [
        {
            "chat": [
                *turns,
                {"role": "user", "content": f"Where is {i}?"},
                {"role": "assistant", "content": f"In box {i}."},
            ],
            "topic": f"t{i % 2}",
            "slice.size": "big",
        }
        for i in range(40)
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    config = Data(path=path, messages="chat", slices=("topic",), system="Be brief.")
    prepared = prepare(config, tmp_path / "out", name="own", seed=1)
    assert prepared.summary.duplicates == 39, "the same first question forty times"
    suite = load_suite(prepared.test.path)
    assert {example.slices["size"] for example in suite.examples} == {"big"}
    assert {example.slices["topic"] for example in suite.examples} <= {"t0", "t1"}
    for example in suite.examples:
        assert example.messages[0] == {"role": "system", "content": "Be brief."}
        assert example.messages[-1]["role"] == "user"
        assert example.expected.startswith(("In box", "Good day"))


def test_a_conversation_is_not_torn_apart_by_its_labels(tmp_path: Path) -> None:
    turns = [
        [
            {"role": role, "content": text.format(i)}
            for role, text in (
                ("user", "Is {} good?"),
                ("assistant", ["yes", "no"][i % 2]),
                ("user", "And {} again?"),
                ("assistant", ["no", "yes"][i % 2]),
            )
        ]
        for i in range(60)
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps({"messages": each}) for each in turns))
    prepared = prepare(Data(path=path, messages="messages"), tmp_path / "out", name="o", seed=1)
    assert prepared.summary.labels == 2
    groups = [{row["group"] for row in jsonl.read(split.path)} for split in prepared.splits]
    assert sum(map(len, groups)) == 60


def test_limit_takes_that_many(tmp_path: Path) -> None:
    prepared = prepare(Data(source="stdlib_docstrings", limit=40), tmp_path, name="q", seed=7)
    assert sum(split.rows for split in prepared.splits) == 40


def test_unicode_line_separators_stay_inside_their_row(tmp_path: Path) -> None:
    # str.splitlines() splits at these, json.dumps leaves them as they are.
    from llmops.compare import load_suite

    rows = [{"prompt": f"a\u2028b\x85 {i}", "completion": f"c\u2029 {i}"} for i in range(20)]
    path = tmp_path / "own.jsonl"
    path.write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )
    prepared = prepare(Data(path=path), tmp_path / "out", name="o", seed=1)
    read = [row for split in prepared.splits for row in jsonl.read(split.path)]
    assert {row["prompt"] for row in read} == {row["prompt"] for row in rows}
    assert len(load_suite(prepared.test.path).examples) == prepared.test.rows


def test_repeated_ids_are_refused(tmp_path: Path) -> None:
    rows = [{"id": i % 15, "prompt": f"q {i}", "completion": f"a {i}"} for i in range(20)]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="id '0' occurs more than once"):
        prepare(Data(path=path), tmp_path / "out", name="own", seed=1)


def test_one_group_cannot_be_split(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "own.csv", [(f"q {i}", f"a {i}", "one") for i in range(20)])
    with pytest.raises(DataError, match=r"1 group\(s\) leave the validation split empty"):
        prepare(Data(path=path, group="user"), tmp_path / "out", name="own", seed=1)


@pytest.mark.parametrize("rows", [1, 30])
def test_too_few_distinct_examples_are_refused(tmp_path: Path, rows: int) -> None:
    path = write_csv(tmp_path / "own.csv", [("q", "a", "u")] * rows)
    with pytest.raises(DataError, match=r"own.csv: 1 distinct example\(s\), at least 10"):
        prepare(Data(path=path), tmp_path / "out", name="own", seed=1)


def test_a_missing_file_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        prepare(Data(path=tmp_path / "none.csv"), tmp_path / "out", name="own", seed=1)
    assert not (tmp_path / "out").exists()


def test_groups_that_share_a_text_take_the_name_of_the_earlier_text(tmp_path: Path) -> None:
    # The names decide the splits, so they are part of what a seed promises.
    groups = "abcdefghij"
    long = "which is a text that nobody writes twice by chance"
    rows = [(f"question {i}", f"answer {i} {long}", groups[i % 10]) for i in range(40)]
    rows += [
        ("question 41", f"other {long}", "b"),
        ("question 40", f"answer 0 {long}", "c"),
        ("new", f"other {long}", "z"),
    ]
    path = write_csv(tmp_path / "own.csv", rows)
    config = Data(path=path, group="user", test_fraction=0.3)
    prepared = prepare(config, tmp_path / "out", name="own", seed=1)
    group = {
        row["prompt"]: row["group"] for split in prepared.splits for row in jsonl.read(split.path)
    }
    assert {group[f"question {i}"] for i in (0, 2, 40)} == {"a"}
    assert {group["question 1"], group["question 41"], group["new"]} == {"b"}
    assert set(group.values()) == {"a", "b", *"defghij"}


@pytest.mark.parametrize("answer", ["label {0}", "answer {1}"])
def test_prompts_that_differ_in_case_or_punctuation_are_in_one_split(
    tmp_path: Path, answer: str
) -> None:
    rows = [(f"Question {i}", answer.format(i % 3, i), "u") for i in range(60)]
    rows += [(f"question {i} ?", answer.format(i % 3, f"other {i}"), "u") for i in range(0, 60, 3)]
    config = Data(path=write_csv(tmp_path / "own.csv", rows))
    for seed in range(5):
        prepared = prepare(config, tmp_path / "out", name="own", seed=seed)
        splits = [jsonl.read(split.path) for split in prepared.splits]
        asked = [{" ".join(words(row["prompt"])) for row in split} for split in splits]
        assert sum(map(len, asked)) == len(set.union(*asked)) == 60, "the gate calls these a leak"
        assert sum(map(len, splits)) == prepared.summary.read == 80, "nothing is dropped"
        assert prepared.summary.unseen == ()


def test_rows_without_a_group_are_groups_of_their_own(tmp_path: Path) -> None:
    rows = [(f"question {i}", f"answer {i}", "" if i % 2 else "u") for i in range(40)]
    path = write_csv(tmp_path / "own.csv", rows)
    prepared = prepare(Data(path=path, group="user"), tmp_path / "out", name="own", seed=1)
    assert prepared.summary.groups == 21


def test_every_id_is_given_once_whatever_the_test_file_calls_its_rows(tmp_path: Path) -> None:
    header = "id,prompt,completion"
    own = write_csv(
        tmp_path / "own.csv", [(str(i), f"question {i}", f"a {i}") for i in range(20)], header
    )
    names = ["0", "test-0", "test-test-0", "1", "other"]
    held_out = write_csv(
        tmp_path / "test.csv", [(name, f"new {name}", "x") for name in names], header
    )
    config = Data.model_validate({"path": own, "test": {"path": held_out}})
    prepared = prepare(config, tmp_path / "out", name="own", seed=1)
    ids = [row["id"] for split in prepared.splits for row in jsonl.read(split.path)]
    assert len(ids) == len(set(ids)) == 25


def test_a_test_file_that_is_the_training_file_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "own.csv", own_rows(30))
    config = Data.model_validate({"path": path, "test": {"path": path}})
    with pytest.raises(DataError, match=r"30 more have a prompt of the test file") as refusal:
        prepare(config, tmp_path / "out", name="own", seed=1)
    assert "data.test.path=FILE" in str(refusal.value.next_command)


def test_half_a_character_is_refused_and_lists_in_a_template_are_json(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    rows = [{"q": {"a": [i, None]}, "completion": f"a {i}"} for i in range(20)]
    path.write_text(json.dumps(rows))
    config = Data(path=path, template="Say {q}")
    prepared = prepare(config, tmp_path / "out", name="own", seed=1)
    prompts = {row["prompt"] for split in prepared.splits for row in jsonl.read(split.path)}
    assert 'Say {"a": [3, null]}' in prompts
    rows[4]["completion"] = "broken \ud800"
    path.write_text(json.dumps(rows))
    with pytest.raises(DataError, match="half of a character") as refusal:
        prepare(config, tmp_path / "out", name="own", seed=1)
    assert "row-5" in refusal.value.message
