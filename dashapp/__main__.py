"""`python -m dashapp` serves the app; with arguments it is the `dashapp` command."""

from __future__ import annotations

import sys

from dashapp.cli import main

if __name__ == "__main__":
    arguments = sys.argv[1:]
    serves = not arguments or (arguments[0].startswith("--") and arguments[0] not in ("--help", "--version"))
    sys.exit(main(["serve", *arguments] if serves else arguments))
