"""The HTML report: one file that needs no server, no network and no JavaScript."""
