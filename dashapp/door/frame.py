"""What the door says as a page: one column, no script, legible before anything of the app is there. Knows text only."""

from __future__ import annotations

import html
from typing import Final

from dashapp.errors import DashappError

FRAME: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: Inside GPT-2</title>
<style>
:root {{ color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --edge: #767676; --focus: #0b62a8; }}
:root {{ --wrong: #a3260f; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper: #16181b; --ink: #e8e6e3; --edge: #8a8f96; --focus: #6cb2f0; --wrong: #ff9c85; }}
}}
body {{ background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; margin: 0; }}
main {{ max-width: 22rem; margin: 0 auto; padding: 15vh 20px 20px; }}
h1 {{ font-size: 1.25rem; margin: 0 0 0.5rem; }}
a {{ color: inherit; }}
label {{ display: block; margin-top: 1.25rem; }}
input, button {{ box-sizing: border-box; width: 100%; min-height: 2.75rem; padding: 0 12px; font: inherit; }}
input, button {{ border: 1px solid var(--edge); border-radius: 4px; background: var(--paper); color: var(--ink); }}
button {{ margin-top: 0.75rem; border: 0; background: var(--ink); color: var(--paper); font-weight: 600; }}
:focus-visible {{ outline: 2px solid var(--focus); outline-offset: 2px; }}
#wrong {{ margin: 0.5rem 0 0; color: var(--wrong); }}
</style>
</head>
<body>
<main>
<h1>Inside GPT-2</h1>
{body}
</main>
</body>
</html>
"""


def framed(title: str, body: str) -> str:
    """A whole page. body: HTML."""
    return FRAME.format(title=html.escape(title), body=body)


def refusal_page(title: str, error: DashappError) -> str:
    """An error's three sentences as a page, with the way to the app."""
    return framed(title, f'<p>{html.escape(str(error))}</p>\n<p><a href="/">Open the app</a></p>')
