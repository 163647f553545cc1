"""The text scorers as Hugging Face ``evaluate`` modules, which load without a network.

``evaluate.load(metrics.path("token_f1"))`` and
``evaluate.combine([metrics.path("token_f1"), metrics.path("one_line")])`` work.
"""

from pathlib import Path


def path(name: str) -> str:
    """What ``evaluate.load`` takes for one of our metrics.

    Args:
        name: A key of ``llmops.compare.scorers.text.TEXT_SCORERS``.

    Raises:
        KeyError: No such metric.
    """
    folder = Path(__file__).parent / name
    if not (folder / f"{name}.py").is_file():
        raise KeyError(name)
    return str(folder)
