from __future__ import annotations

from llmops.engine.openai.parameters import NAMES, Parameters
from llmops.flavor.signature import default_signature


def test_it_names_the_parameters_with_the_defaults_of_every_entry_point() -> None:
    params = {param.name: param.default for param in default_signature().params}
    assert set(params) == set(NAMES) - {"stream", "stream_options"}
    assert params.pop("max_completion_tokens") is None
    assert Parameters(**params) == Parameters()


def test_it_leaves_the_inputs_free() -> None:
    assert default_signature().inputs is None
