"""What `test_compare.py` measures the harness against: PEER ARGUMENTS, each in its own process."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def genai(uri: str, suite: str) -> None:
    """Loads a version and asks it through `mlflow.genai.evaluate(predict_fn)`, as its docs do."""
    import mlflow

    model = mlflow.pyfunc.load_model(uri)
    rows = [json.loads(line) for line in Path(suite).read_text().splitlines()]

    def ask(prompt: str) -> str:
        answered = model.predict(
            {"messages": [{"role": "user", "content": prompt}]}, params={"max_tokens": 32}
        )
        return str(answered["choices"][0]["message"]["content"])

    @mlflow.genai.scorer
    def exact(outputs: str, expectations: dict[str, str]) -> bool:
        return outputs == expectations["expected_response"]

    mlflow.genai.evaluate(
        data=[
            {
                "inputs": {"prompt": row["prompt"]},
                "expectations": {"expected_response": row["expected"]},
            }
            for row in rows
        ],
        predict_fn=ask,
        scorers=[exact],
    )


def task(suite: str, folder: str) -> None:
    """An lm-eval task of the suite: greedy, 32 new tokens, exact match."""
    Path(folder, "suite.yaml").write_text(
        "task: suite\n"
        "dataset_path: json\n"
        f"dataset_kwargs: {{data_files: {{test: {suite}}}}}\n"
        "test_split: test\n"
        "output_type: generate_until\n"
        'doc_to_text: "{{prompt}}"\n'
        'doc_to_target: "{{expected}}"\n'
        'generation_kwargs: {until: ["<|im_end|>"], max_gen_toks: 32, do_sample: false}\n'
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    {"genai": genai, "task": task}[name](*arguments)
