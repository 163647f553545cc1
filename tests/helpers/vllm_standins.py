"""Stand-ins for a Python that has vLLM, where the test is not about vLLM itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(sys.executable)
ANSWERING = """
import os, sys
from pathlib import Path
import uvicorn
sys.path.insert(0, {helpers!r})
from sides import side_of
from workers import worker_app
from llmops.engine import open_engine
from llmops.records import LoadOptions
given = sys.argv[1:]
value = lambda name: given[given.index(name) + 1]
side = side_of(Path(value("--model")))
engine = open_engine("local", [side], LoadOptions(dtype=value("--dtype"), device="cpu"))
name = value("--served-model-name")
app = worker_app(engine, side, name, key=os.environ["VLLM_API_KEY"])
uvicorn.run(app, host=value("--host"), port=int(value("--port")), log_level="warning")
"""
"""Serves the bare base as vLLM would, with our own engine."""

FRAGILE = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
given = sys.argv[1:]
value = lambda name: given[given.index(name) + 1]
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        assert self.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        body = json.dumps({"data": [{"id": value("--served-model-name")}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        print("out of memory", flush=True)
        os._exit(3)
print(sorted(name for name in os.environ if name in ("OPENAI_API_KEY", "PYTHONPATH")), flush=True)
HTTPServer((value("--host"), int(value("--port"))), Handler).serve_forever()
"""
"""Lists its models, and dies at the first request."""


def interpreter(folder: Path, **packages: str) -> Path:
    """Something that answers the probe like a Python with these packages."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '{json.dumps(packages)}'\n")
    path.chmod(0o755)
    return path


def serving(folder: Path, program: str) -> Path:
    """Something that looks like a Python with vLLM, whose server is another program."""
    server = folder / "server.py"
    server.write_text(program)
    path = interpreter(folder, vllm="0.33.0+cpu", transformers="5.19.0")
    lines = path.read_text().splitlines()
    probed = f'case "$1" in -I) {lines[1]}; exit;; esac'
    path.write_text("\n".join([lines[0], probed, f'shift 2; exec {HERE} {server} "$@"', ""]))
    return path


def answering_base(folder: Path) -> Path:
    """A stand-in whose server answers for the bare base; see ``ANSWERING``."""
    paths = [path for path in sys.path if path]
    lines = "".join(f"sys.path.insert(0, {path!r})\n" for path in reversed(paths))
    return serving(folder, ANSWERING.replace("sys.path.insert(0, {helpers!r})\n", lines))
