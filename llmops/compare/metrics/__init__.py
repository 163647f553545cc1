"""The scorers of texts as Hugging Face ``evaluate`` modules, which load without a network."""

from llmops.files import home
from llmops.recipe.built_in_scorers import BY_NAME

__all__ = ["path"]

MODULE = '''\
"""The scorer {name} of llmops as a Hugging Face ``evaluate`` module."""

from llmops.compare.metrics import base


class {title}(base.MeanMetric):
    """Mean of {name} over the examples."""

    scorer = "{name}"
'''
"""Source of a module; nothing but the name differs, so that a written module never becomes stale."""


def path(name: str) -> str:
    """Return the folder of a metric's module, for ``evaluate.load`` and ``evaluate.combine``.

    The folder is in ``LLMOPS_HOME`` and is written on first use. ``evaluate`` names a metric after
    its file, so each metric needs its own file.

    Args:
        name: Name of a scorer of texts without an argument, such as ``token_f1``.

    Raises:
        KeyError: There is no such metric.
        LlmopsError: ``LLMOPS_HOME`` is not writable.

    Example:
        import evaluate

        from llmops.compare import metrics

        metric = evaluate.load(metrics.path("token_f1"))
        print(metric.compute(predictions=["a blue car"], references=["the blue car"]))
    """
    if not BY_NAME[name].is_of_texts:
        raise KeyError(name)
    folder = home.folder(f"metrics/{name}")
    file = folder / f"{name}.py"
    text = MODULE.format(name=name, title=name.title().replace("_", ""))
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        home.write_whole(file, text)
    return str(folder)
