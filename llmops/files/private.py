"""Folders and files that only their owner can read, whatever the umask.

Prompts, answers and logs lie in them. What exists is tightened when it is opened, if this account
owns it; a folder of another account is left as it is.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(path: Path) -> Path:
    """Create a folder if it does not exist, and return it.

    Raises:
        OSError: It cannot be created, or its parent does not exist.
    """
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)
    tighten(path, FOLDER_MODE)
    return path


def make_file(path: Path) -> Path:
    """Create an empty file if it does not exist, and return it; what it holds is kept.

    An existing file is not opened: closing it would release the locks that this process holds on
    it, those of SQLite among them.

    Raises:
        OSError: It cannot be created.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
    tighten(path, FILE_MODE)
    return path


def tighten(path: Path, mode: int) -> None:
    """Take the permissions beyond ``mode`` from a file or folder of this account, if it can be done.

    A folder with the sticky bit, such as ``/tmp``, is shared on purpose and is left as it is.
    """
    with suppress(OSError, AttributeError):  # AttributeError: Windows has no user ids
        found = path.stat()
        allowed = stat.S_IMODE(found.st_mode)
        if allowed & ~mode and found.st_uid == os.geteuid() and not allowed & stat.S_ISVTX:
            path.chmod(allowed & mode)
