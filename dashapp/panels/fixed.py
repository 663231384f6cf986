"""What never changes in a page, as one component.

The browser looks at every component of Dash at every change of any of them. A page has hundreds of paragraphs, buttons
and formulas that no callback touches: as one piece of HTML each group costs what one of them would.
"""

from __future__ import annotations

from typing import Final

from dash.development.base_component import Component

_PROPERTIES: Final = ["html"]
_NONE: Final[list[str]] = []


class Fixed(Component):
    """HTML in a page, drawn by `dashapp_fixed` of 05-fixed.js.

    html: trusted, of texts of the code, escaped where they are no markup; never of what a person typed.
    """

    _namespace = "dashapp_fixed"
    _type = "Fixed"
    _prop_names = available_properties = _PROPERTIES
    _children_props = _base_nodes = _valid_wildcard_attributes = available_wildcard_properties = _NONE

    def __init__(self, *, html: str) -> None:
        Component.__init__(self, html=html)
