"""Look inside GPT-2: load a model, trace what it does with a prompt, continue the prompt.

>>> import dashapp                                            # torch is imported by the first call, not here
>>> model = dashapp.load("demo")                              # or "gpt2", or a folder in Hugging Face format
>>> trace = dashapp.trace(model, "The cat sat on the mat")
>>> trace.pattern(3).shape                                    # layer 3: head, query, key
(8, 7, 7)
>>> dashapp.figure("head-pattern", trace, {"layer": 3, "head": 1}).layout.xaxis.title.text
'key: the token looked at'
>>> run = dashapp.generate(model, "Once upon a time", max_new_tokens=3, temperature=0)
>>> len(run.steps)
3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashapp.api import figure as figure
    from dashapp.api import generate as generate
    from dashapp.api import load as load
    from dashapp.api import trace as trace
    from dashapp.model.sampling import SamplingSettings as SamplingSettings
    from dashapp.model.tokenizer import encode as encode
    from dashapp.model.tokenizer import token_text as token_text
    from dashapp.model.tokenizer import token_texts as token_texts
    from dashapp.traces.record import Trace as Trace
    from dashapp.traces.run import Run as Run

__version__ = "0.1.0"

__all__ = [
    "Run",
    "SamplingSettings",
    "Trace",
    "__version__",
    "encode",
    "figure",
    "generate",
    "load",
    "token_text",
    "token_texts",
    "trace",
]

_HOMES = {
    "load": "dashapp.api",
    "trace": "dashapp.api",
    "generate": "dashapp.api",
    "figure": "dashapp.api",
    "Trace": "dashapp.traces.record",
    "Run": "dashapp.traces.run",
    "SamplingSettings": "dashapp.model.sampling",
    "encode": "dashapp.model.tokenizer",
    "token_text": "dashapp.model.tokenizer",
    "token_texts": "dashapp.model.tokenizer",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
