"""The MLflow flavor ``llmops``: a version stores its adapter and pins its base by content.

This package has the names that MLflow expects of a flavor: ``save_model``, ``log_model``,
``load_model`` and ``_load_pyfunc``.
"""

from llmops.flavor.bases import add_base, ensure_base
from llmops.flavor.load import LoadedModel, load_model, load_models
from llmops.flavor.log import log_model
from llmops.flavor.pyfunc import _load_pyfunc
from llmops.flavor.save import save_model
from llmops.flavor.write import FLAVOR_NAME

__all__ = [
    "FLAVOR_NAME",
    "LoadedModel",
    "_load_pyfunc",
    "add_base",
    "ensure_base",
    "load_model",
    "load_models",
    "log_model",
    "save_model",
]
