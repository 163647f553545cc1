"""``python -m llmops``."""

from llmops.cli.main import main

if __name__ == "__main__":
    main()
