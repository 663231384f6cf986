"""plotly.js as the pages get it: the strict build, in the place where Dash's graphs look for another one."""

from __future__ import annotations

from typing import Final

from flask import Flask, send_file
from flask.typing import ResponseReturnValue

from dashapp.figures.plotly_js import FILE

ADDRESS: Final = "/_dash-component-suites/plotly/package_data/plotly.min.js"  # where Dash's graphs look for it


def add_route(server: Flask) -> None:
    """Answer Dash's address of plotly.js; the rule is more exact than Dash's own, so it comes first."""

    @server.get(ADDRESS)
    def plotly_js() -> ResponseReturnValue:
        return send_file(FILE, mimetype="text/javascript")
