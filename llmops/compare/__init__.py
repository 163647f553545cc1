"""Stage ``compare``: two or more sides answer the same held-out prompts and are tested in pairs.

``compare`` and ``compare_all`` do the whole work. ``comparison_run`` keeps the MLflow run open, so
that a gate can decide before the report is written. Called, the package is ``llmops.judging.compare``,
which also takes the policy of a gate.
"""

from llmops import make_callable
from llmops.compare.harness import compare, compare_all, comparison_run
from llmops.compare.labels.step import with_human_labels, write_label_sample
from llmops.compare.standings import standings
from llmops.compare.suite.load import load_suite

__all__ = [
    "compare",
    "compare_all",
    "comparison_run",
    "load_suite",
    "standings",
    "with_human_labels",
    "write_label_sample",
]

make_callable(__name__)
