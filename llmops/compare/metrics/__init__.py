"""The scorers of texts as Hugging Face ``evaluate`` modules, which load without a network.

``evaluate.load(metrics.path("token_f1"))`` and
``evaluate.combine([metrics.path("token_f1"), metrics.path("one_line")])`` work.
"""

from llmops.files import home
from llmops.recipe.built_in_scorers import BY_NAME

MODULE = '''\
"""The scorer {name} of llmops as a Hugging Face ``evaluate`` module."""

from llmops.compare.metrics import base


class {title}(base.MeanMetric):
    """Mean of {name} over the examples."""

    scorer = "{name}"
'''
"""All that differs between the modules is the name; they say nothing that can become stale."""


def path(name: str) -> str:
    """Return what ``evaluate.load`` takes for one of our metrics: the folder of its module.

    The folder lies in ``LLMOPS_HOME`` and is written when it is first asked for: ``evaluate``
    names a metric after its file, so each needs a file of its own.

    Args:
        name: A scorer of texts without an argument, such as ``token_f1``.

    Raises:
        KeyError: No such metric.
        LlmopsError: ``LLMOPS_HOME`` cannot be written.
    """
    if not BY_NAME[name].is_of_texts:
        raise KeyError(name)
    folder = home.folder(f"metrics/{name}")
    file = folder / f"{name}.py"
    text = MODULE.format(name=name, title=name.title().replace("_", ""))
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        home.write_whole(file, text)
    return str(folder)
