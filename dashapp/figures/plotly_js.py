"""plotly.js as figures are drawn with: the strict build of the version that the package plotly has.

The build in the package compiles the programs of its WebGL figures while the page runs, which a content policy without
`unsafe-eval` refuses without a word, and those figures stay empty. The strict build has them compiled beforehand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[1] / "plotly_js" / "plotly-strict.min.js"
