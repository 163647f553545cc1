"""MLflow's pages as a person sees them: Debian's Chromium without a screen."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
NO_CHROMIUM = "no Chromium on this machine: pages cannot be looked at"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=30000",
)


def dom(url: str, folder: Path, *, width: int = 1400) -> str:
    """The page as Chromium shows it once its scripts have run, in a window of this width.

    MLflow's tables draw no column that is out of sight.
    """
    done = subprocess.run(
        [
            *(str(CHROMIUM), *FLAGS, f"--window-size={width},1400"),
            *(f"--user-data-dir={folder}/chromium", "--dump-dom", url),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.stdout
