"""Tags and aliases that several processes write for the first time at the same moment.

MLflow 3.17 reads whether the row exists, and inserts it otherwise. Of two first writers at once, the
second one gets the database's IntegrityError, such as ``UNIQUE constraint failed:
registered_model_tags.key``, directly or as an internal error of the server. By then the row exists, so
the same call again updates it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

ATTEMPTS = 3
_LOST = re.compile(
    r"IntegrityError|UniqueViolation|UNIQUE constraint|duplicate key|Duplicate entry"
)


def upsert(write: Callable[[], object]) -> None:
    """Write a tag or an alias, again if another process inserted the same row at that moment.

    Args:
        write: The call of MLflow's client; it may be repeated.

    Raises:
        MlflowException: MLflow refuses for another reason, or again and again.
    """
    from mlflow.exceptions import MlflowException

    for last in (False,) * (ATTEMPTS - 1) + (True,):
        try:
            write()
            return
        except MlflowException as error:
            if last or not _LOST.search(str(error)):
                raise
