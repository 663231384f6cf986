"""plotly.js as the pages get it: the strict build of the version that the package plotly has, in its place.

The build in the package compiles the programs of its WebGL figures while the page runs, which the content policy
refuses without a word, and those figures stay empty. The strict build has them compiled beforehand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Flask, send_file
from flask.typing import ResponseReturnValue

FILE: Final = Path(__file__).parents[1] / "plotly_js" / "plotly-strict.min.js"
ADDRESS: Final = "/_dash-component-suites/plotly/package_data/plotly.min.js"  # where Dash's graphs look for it


def add_route(server: Flask) -> None:
    """Answer Dash's address of plotly.js; the rule is more exact than Dash's own, so it comes first."""

    @server.get(ADDRESS)
    def plotly_js() -> ResponseReturnValue:
        return send_file(FILE, mimetype="text/javascript")
