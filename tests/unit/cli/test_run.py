"""`llmops run` as a user meets it."""

from __future__ import annotations

from pathlib import Path

from command_line import Command


def test_all_problems_of_a_recipe_at_once_with_lines(llmops: Command, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "schema_version: 1\nname: x\ndata: {source: stdlib_docstrings}\ntrain:\n  bsae: tiny\n"
        "flavor: {model: a/b}\ngate: {require: []}\n"
    )
    done = llmops("run", str(recipe))
    assert done.returncode == 2
    assert f"{recipe}:4: train.base: required, but absent" in done.stderr
    assert f"{recipe}:5: train.bsae: unknown key; allowed here: base" in done.stderr
    assert f"{recipe}:6: flavor.model" in done.stderr
    assert f"{recipe}:7: gate.require" in done.stderr
    assert "Next: " in done.stderr


def test_an_unreachable_server_is_said_at_once(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    import mlflow

    mlflow.set_tracking_uri("http://127.0.0.1:9")
    done = llmops("run", str(own_recipe))
    assert done.returncode == 1
    assert "http://127.0.0.1:9: not reachable" in done.stderr
    assert "Next: " in done.stderr
    assert "Traceback" not in done.stderr


def test_unusable_data_ends_before_anything_is_registered(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    (own_recipe.parent / "own.csv").write_text("q,a\nonly,one\n")
    done = llmops("run", str(own_recipe))
    assert done.returncode == 2
    assert "own.csv: 1 distinct example(s), at least 10" in done.stderr
    from llmops.store import connection

    assert not connection.client().search_registered_models()


def test_a_missing_base_names_the_command_that_adds_one(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    done = llmops("run", str(own_recipe), "train.base=nowhere")
    assert done.returncode == 2
    assert "base model 'nowhere'" in done.stderr
    assert "llmops base add" in done.stderr


def test_the_whole_loop_ends_with_verdict_links_and_the_next_command(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    # No `serve`: its server takes seconds, and has tests of its own.
    text = own_recipe.read_text().replace("serve: {max_tokens: 4}\n", "")
    own_recipe.write_text(text)
    done = llmops("run", str(own_recipe))
    assert done.returncode == 0, done.stderr
    facts = dict(line.split(maxsplit=1) for line in done.stdout.partition("\n\n")[2].splitlines())
    assert facts["Trained"].startswith("models:/own/1: LoRA on ")
    assert ", 6 steps" in facts["Trained"]
    assert facts["Next"].startswith("mlflow deployments create -t llmops --name own")
    assert facts["Version"].endswith("/#/models/own/versions/1")
    assert "Served" not in facts
