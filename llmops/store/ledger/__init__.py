"""The ledger of promotions: numbered entries, each of which exactly one process can write.

Anyone can overwrite an alias of MLflow's registry at any time, so an alias cannot decide between two
promotions. The parameters of a run can: the ledger of the registered model ``bot`` is a run in the
experiment ``bot promotions``, and its parameters ``000001``, ``000002``, … are the entries.

What this relies on was read in MLflow 3.17's SQL store, and tried with 8 processes at once on SQLite,
on PostgreSQL, and on ``mlflow server`` with 4 workers over either:

- Key and run are the primary key of the table of parameters. Of several writers of one key one
  succeeds, and ``log_param`` raises an error for the others, unless their value is the same. Each
  entry has a nonce, so a request that the client repeats counts once, and another's entry never
  counts as one's own.
- A run that is FINISHED still accepts parameters. None is ever changed.
- MLflow cuts a value after 6,000 characters **without an error**, so longer entries are refused here.
- Names of experiments are unique, also after renaming. A ledger is made in an experiment with
  another name, which is renamed last: one process succeeds. The experiment's tag names the run.
- ``get_experiment_by_name`` also returns a deleted experiment. A ledger that was deleted is an error,
  and never the beginning of a new one.

MLflow's file store checks and writes in two steps, so there two promotions at once may both succeed.
"""

from llmops.store.ledger.entries import Ledger, append, entries, mark_done, new_entry, read

__all__ = ["Ledger", "append", "entries", "mark_done", "new_entry", "read"]
