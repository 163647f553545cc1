"""`llmops init`: a file becomes a recipe that runs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Command

from llmops.recipe import load_recipe


@pytest.fixture
def tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lines = [f"My order {i} is late,{['billing', 'delivery'][i % 2]},c{i % 40}" for i in range(300)]
    path = tmp_path / "My Tickets.csv"
    path.write_text("\n".join(["text,label,customer", *lines]) + "\n")
    return path


def test_a_file_becomes_a_recipe_whose_data_can_be_prepared(llmops: Command, tickets: Path) -> None:
    done = llmops("init", tickets.name)
    assert done.returncode == 0, done.stderr
    assert "My Tickets.csv: 300 rows, text and label" in done.stdout
    assert "metric: exact (2 labels)" in done.stdout
    assert "Next: llmops data my-tickets --out my-tickets/data\n" in done.stdout
    assert done.stdout.endswith("llmops run my-tickets\n")
    recipe = load_recipe(Path("my-tickets/recipe.yaml"))
    assert (recipe.name, recipe.data.path) == ("my-tickets", tickets)
    data = llmops("data", "my-tickets", "--out", "splits")
    assert data.returncode == 0, data.stderr
    assert "2 labels; every label of the test split is in the training split" in data.stdout
    assert "not read: customer" in data.stdout
    again = llmops("init", tickets.name)
    assert again.returncode == 2
    assert "already exists" in again.stderr


def test_options_answer_the_questions(llmops: Command, tickets: Path) -> None:
    done = llmops(
        *("init", tickets.name, "--out", "mine", "--name", "desk", "--metric", "token_f1"),
        *("--prompt", "From {customer}:\\n{text}", "--completion", "label", "--base", "tiny"),
        *("--output", "json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["recipe"], found["metric"]) == ("mine/recipe.yaml", "token_f1")
    assert found["next"] == "llmops run mine"
    recipe = load_recipe(Path("mine/recipe.yaml"))
    assert recipe.data.template == "From {customer}:\n{text}"
    assert (recipe.flavor.model, recipe.train.base) == ("desk", "tiny")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.csv"], "none.csv: no such file"),
        (["My Tickets.csv", "--prompt", "text"], "--prompt and --completion belong together"),
        (
            ["My Tickets.csv", "--prompt", "txt", "--completion", "label"],
            "no column 'txt'; it has 'text', 'label', 'customer'; for 'txt', did you mean 'text'?",
        ),
        (["empty.csv"], "empty.csv: holds no rows"),
        (["My Tickets.csv", "--test", "no.csv"], "no.csv: no such file"),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_is_written(
    llmops: Command, tickets: Path, arguments: list[str], says: str
) -> None:
    Path("empty.csv").write_text("text,label\n")
    done = llmops("init", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["My Tickets.csv", "empty.csv"]


def test_at_a_terminal_it_asks_three_questions(tickets: Path) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "llmops", "init", tickets.name],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.write(controller, b"customer -> label\nexact\n\n")
    said, _ = process.communicate(timeout=120)
    for end in (controller, terminal):
        os.close(end)
    assert process.returncode == 0, said
    asked = [said.index(each) for each in ("Question -> answer", "Metric", "Base model")]
    assert asked == sorted(asked)
    assert load_recipe(Path("my-tickets/recipe.yaml")).data.prompt == "customer"


@pytest.mark.parametrize(
    ("arguments", "says", "then"),
    [
        (["--prompt", "{"], "names no column", "write a column as {column}"),
        (["--prompt", "txt"], "no column 'txt'", "llmops init 'My Tickets.csv' --prompt COLUMN"),
        (["--messages", "text"], "not JSON", "correct or remove this row"),
        (["--messages", "m"], "no column 'm'", "llmops init 'My Tickets.csv' --messages COLUMN"),
        (["--test", "My Tickets.csv"], "300 more", "llmops init 'My Tickets.csv' --test FILE"),
        (["--test", "no.csv"], "no such file", "llmops init 'My Tickets.csv' --test FILE"),
        (["--name", "a b"], "model name 'a b'", "--name"),
    ],
)
def test_a_refusal_names_what_to_type_here(
    llmops: Command, tickets: Path, arguments: list[str], says: str, then: str
) -> None:
    more = ["--completion", "label"] if "--prompt" in arguments else []
    done = llmops("init", tickets.name, *arguments, *more)
    assert done.returncode == 2
    assert says in done.stderr
    assert then in done.stderr
    assert "RECIPE" not in done.stderr


def test_a_file_that_could_not_be_run_gets_no_recipe(llmops: Command, tickets: Path) -> None:
    Path("same.csv").write_text("text,label\n" + "".join(f"q {i},same\n" for i in range(40)))
    done = llmops("init", "same.csv")
    assert "every row has the same answer" in done.stderr
    assert not Path("same").exists()


def test_names_with_spaces_and_braces_are_taken_as_they_are(llmops: Command, tickets: Path) -> None:
    Path("-odd.csv").write_text(
        "{a} b,yes\n" + "".join(f"question {i},{i % 2}\n" for i in range(40))
    )
    columns = ("--prompt", "{a} b", "--completion", "yes")
    done = llmops("init", "--out", "my own", *columns, "--", "-odd.csv")
    assert done.returncode == 0, done.stderr
    assert "llmops data 'my own' --out 'my own/data'" in done.stdout
    recipe = load_recipe(Path("my own/recipe.yaml"))
    assert (recipe.data.prompt, recipe.data.completion) == ("{a} b", "yes")
    assert llmops("data", "my own").returncode == 0
