"""Write the generated pages.

PYTHONPATH=docs python -m generator            write them
PYTHONPATH=docs python -m generator --check    write nothing; exit 1 if a page differs
"""

from __future__ import annotations

import sys

from generator import drifted


def main() -> int:
    """Write the pages, or check them; return the exit code."""
    found = drifted()
    if "--check" in sys.argv[1:]:
        for path in found:
            print(f"{path}: differs from the code; run `make docs`", file=sys.stderr)
        return 1 if found else 0
    for path, text in found.items():
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
