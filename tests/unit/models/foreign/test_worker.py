"""The limited program replies to each line, and ends with its input."""

from __future__ import annotations

import json
import subprocess
import sys

from llmops.models.foreign import worker


def test_each_job_has_a_reply() -> None:
    jobs = [
        {"kind": "match", "patterns": ["(", "b+", "c"], "names": ["bb", "x.c", "d"]},
        {
            "kind": "render",
            "template": "{% if %}",
            "variables": {},
            "messages": [{}],
            "options": {},
        },
        {
            "kind": "render",
            "template": "{{ a }}",
            "variables": {"a": 7},
            "messages": [{}],
            "options": {},
        },
        {"kind": "render", "template": "12345", "variables": {}, "messages": [{}], "options": {}},
        {"kind": "match", "patterns": [], "names": []},
    ]
    done = subprocess.run(
        [sys.executable, "-P", worker.__file__, "5", str(1 << 30), "4"],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        check=True,
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert replies[0] == {"matched": 2}
    assert (replies[1]["error"], replies[1]["line"]) == ("TemplateSyntaxError", 1)
    assert replies[2:] == [{"text": "7"}, {"limit": "length"}], "it ends after a limit"
