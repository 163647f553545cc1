"""``llmops.gate.check``: judge a version for an ``assert``."""

from __future__ import annotations

from pathlib import Path

from llmops.gate.checked import Checked
from llmops.gate.evidence import reuse
from llmops.gate.planning.possible import refuse_too_few
from llmops.judging.held_out import held_out
from llmops.judging.version import judge
from llmops.progress import say
from llmops.recipe import Policy, Recipe, load_policy, load_recipe
from llmops.recipe.catalog import find
from llmops.recipe.reading import POLICY, kind_of, read
from llmops.report.ci import summary
from llmops.store import connection


def check(
    candidate: str, policy: str | Path | Recipe | Policy, *, suite: Path | str | None = None
) -> Checked:
    """Judge a version for an ``assert`` in a test; if it does not pass, print the summary on stderr.

    Args:
        candidate: A registered version, ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        policy: A policy file, or a recipe: a file, a folder, or a packaged recipe's name; or either as
            read.
        suite: Held-out prompts; default: the policy's, or the test split of the candidate's training
            run.

    Returns:
        A result that is true if the version passed. No alias moves.

    Raises:
        LlmopsError: There is no verdict: the gate itself failed. It is never just false.

    Example:
        import llmops

        assert llmops.gate.check("models:/bot@challenger", "gate.yaml")
    """
    given = _read(policy) if isinstance(policy, (str, Path)) else policy
    whole = given.policy() if isinstance(given, Recipe) else given
    experiment = given.name if isinstance(given, Recipe) else whole.model
    price = (
        given.cost.usd_per_hour if isinstance(given, Recipe) else whole.gate.budgets.usd_per_hour
    )
    connection.connect()
    connection.use_experiment(experiment)
    with held_out(candidate, suite or whole.suite, experiment) as (files, prompts):
        refuse_too_few(whole, prompts)
        comparison, decision = judge(whole, files, prompts)
    if comparison is None:
        text = reuse.summary(decision)
    else:
        page = connection.ui(f"/experiments/{comparison.experiment_id}/runs/{comparison.run_id}")
        text = summary(comparison, decision, {"Run": page}, usd_per_hour=price)
    checked = Checked(decision, text)
    if not checked:
        say(checked.summary)
    return checked


def _read(named: str | Path) -> Recipe | Policy:
    """Read a recipe or a policy file: a policy has no data and nothing to train."""
    path = find(str(named))
    content, _ = read(path)
    return load_policy(path) if kind_of(content) == POLICY else load_recipe(path)
