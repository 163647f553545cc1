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
ours = ("not for a local server", "/nowhere")
print(sorted(name for name, value in os.environ.items() if value in ours), flush=True)
HTTPServer((value("--host"), int(value("--port"))), Handler).serve_forever()
"""
"""Lists its models, and dies at the first request."""

LOADING = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
given = sys.argv[1:]
def values(name):
    following = given[given.index(name) + 1 :] if name in given else []
    ends = [i for i, text in enumerate(following) if text.startswith("--")]
    return following[: ends[0] if ends else None]
loaded = [*values("--served-model-name"), *(json.loads(m)["name"] for m in values("--lora-modules"))]
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200, {"data": [{"id": name} for name in loaded]})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(self.path, json.dumps(body), flush=True)
        name = body.get("lora_name")
        if self.path == "/v1/load_lora_adapter":
            if name.startswith("refused"):
                return self.reply(400, {"error": {"message": "no such adapter"}})
            loaded.append(name)
        elif self.path == "/v1/unload_lora_adapter":
            loaded.remove(name)
        self.reply(200, {})
    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
print(json.dumps(given), flush=True)
ThreadingHTTPServer((values("--host")[0], int(values("--port")[0])), Handler).serve_forever()
"""
"""Loads and unloads names other than ``refused…``, and prints its arguments and what it is asked."""


def interpreter(folder: Path, **packages: str) -> Path:
    """Something that answers the probe like a Python with these packages."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '{json.dumps(packages)}'\n")
    path.chmod(0o755)
    return path


def serving(folder: Path, program: str, *, vllm: str = "0.33.0+cpu") -> Path:
    """Something that looks like a Python with vLLM, whose server is another program."""
    server = folder / "server.py"
    server.write_text(program)
    path = interpreter(folder, vllm=vllm, transformers="5.19.0")
    lines = path.read_text().splitlines()
    probed = f'case "$1" in -I) {lines[1]}; exit;; esac'
    path.write_text("\n".join([lines[0], probed, f'shift 2; exec {HERE} {server} "$@"', ""]))
    return path


def answering_base(folder: Path) -> Path:
    """A stand-in whose server answers for the bare base; see ``ANSWERING``."""
    paths = [path for path in sys.path if path]
    lines = "".join(f"sys.path.insert(0, {path!r})\n" for path in reversed(paths))
    return serving(folder, ANSWERING.replace("sys.path.insert(0, {helpers!r})\n", lines))


def with_cards(python: Path, *cards: tuple[str, float, float]) -> Path:
    """The stand-in, with GPUs: the name of each, and its free and total memory in GiB."""
    found = json.dumps(
        [[name, int(free * 2**30), int(total * 2**30)] for name, free, total in cards]
    )
    first, *rest = python.read_text().splitlines()
    asked = f"""case "$3" in *mem_get_info*) echo '{found}'; exit;; esac"""
    python.write_text("\n".join([first, asked, *rest, ""]))
    return python


def on_the_path(folder: Path, name: str, output: str) -> Path:
    """A program that prints a text, in a folder for ``PATH``."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
    program.chmod(0o755)
    return folder
