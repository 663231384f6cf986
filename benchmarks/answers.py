"""What the server takes for each panel's answer, and on what: `python -m benchmarks.answers`, and with --write
into docs/performance.md.

The app is asked in this process as a browser would ask it, a thread and a clock of processor time, so that others on
the machine count little. Shares are samples: each millisecond of processor time the line that runs is looked at.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.interleaved import N_RUNS_LEAST, Spread
from benchmarks.table import machine, write_into
from benchmarks.visitor import Visitor, view_of

if TYPE_CHECKING:
    from dash import Dash

    from dashapp.traces.record import Trace

PAGE: Final = Path(__file__).parents[1] / "docs/performance.md"
BY: Final = "python -m benchmarks.answers"
EVERY_S: Final = 0.001
LAYER, HEAD, NEURON, TARGET = 5, 1, 7, 262

# The part that a line belongs to: the first whose folder the innermost frame outward lies in.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "JSON": ("/_plotly_utils/utils.py", "/plotly/io/", "/json/encoder.py", "/json/__init__.py", "/figures/written.py"),
    "Plotly’s objects": ("/plotly/", "/_plotly_utils/"),
    "compression": ("/flask_compress/",),
    "analysis and reading": ("/dashapp/analysis/", "/dashapp/traces/", "/dashapp/model/", "/dashapp/store/"),
    "figures": ("/dashapp/figures/", "/dashapp/panels/"),
    "Dash and Flask": ("/dash/", "/flask/", "/werkzeug/", "/dashapp/"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog=BY, description=__doc__.partition(":")[0])
    parser.add_argument("--model", type=Path, help="a model's folder; without one, random weights of gpt2's shape")
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 512, 1024], help="prompt lengths in tokens")
    parser.add_argument("--runs", type=int, default=N_RUNS_LEAST)
    parser.add_argument("--panels", action="store_true", help="print each panel too")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        lines = list(_measure(chosen, Path(scratch)))
    head = ["page", "tokens", "panels", "an answer (median)", "the slowest", "all", "compressed", *PARTS, "the rest"]
    text = "\n".join([f"{machine()}.", "", _line(head), _line(["---"] * len(head)), *lines])
    print(f"\n{text}")
    if chosen.write:
        write_into(PAGE, text, by=BY)


def _measure(chosen: argparse.Namespace, scratch: Path) -> Iterator[str]:
    from benchmarks.make_model import make_model
    from dashapp.app import create_app
    from dashapp.model.registry import HUB_MODELS
    from dashapp.panels.catalogue import BY_PAGE
    from dashapp.settings import Settings

    folder = chosen.model or make_model(HUB_MODELS["gpt2"].config, scratch / "gpt2")
    app = create_app(Settings(model=str(folder), visitor_seconds=0, cache_dir=scratch / "cache", models_dir=scratch))
    for n_tokens in chosen.lengths:
        trace = _stored(app, folder, n_tokens)
        for page, panels in BY_PAGE.items():
            names = [panel.name for panel in panels]
            answers = [_Answers(app, name, trace, chosen.runs) for name in names]
            if chosen.panels:
                for each in answers:
                    print(each, flush=True)
            yield _line(_told(page, n_tokens, answers))


def _stored(app: Dash, folder: Path, n_tokens: int) -> Trace:
    """A trace of random tokens, in the store of the app."""
    import torch

    from dashapp.model.checkpoint import load_model
    from dashapp.model.weights import Weights
    from dashapp.panels.source import Source
    from dashapp.traces.capture import capture
    from dashapp.traces.record import trace_metadata

    weights = Weights.open(folder)
    ids = np.random.default_rng(0).integers(weights.config.d_vocab, size=n_tokens).astype(np.int32)
    metadata = trace_metadata(weights.config, fingerprint=weights.fingerprint, model=weights.name, dtype="float32")
    with torch.inference_mode():
        trace = capture(load_model(weights, device="cpu"), ids, metadata)
    with app.server.app_context():
        Source.here().store.put_trace(trace)
    return trace


class _Answers:
    """A panel's answers, one run after another, each for another selection so that nothing is remembered whole."""

    def __init__(self, app: Dash, name: str, trace: Trace, n_runs: int) -> None:
        self.name, self.seconds, self.samples, self.n_bytes = name, list[float](), Counter[str](), 0
        visitor = Visitor(self._asking(app.server.test_client()))
        for i in range(n_runs + 1):
            start = time.process_time()
            with _sampled() as samples:
                visitor.draw(name, _view(name, trace, i))
            if i:  # the first one warms up
                self.seconds.append(time.process_time() - start)
                self.samples += samples

    def _asking(self, client: Any) -> Any:
        def send(path: str, body: bytes | None) -> tuple[int, bytes]:
            headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate, br, zstd"}
            response = client.post(path, data=body, headers=headers)
            self.n_bytes = len(response.data)
            return response.status_code, b'{"response": {}}'  # what a browser reads is no work of the server

        return send

    @property
    def spread(self) -> Spread:
        return Spread.of(self.seconds)

    def __str__(self) -> str:
        shares = ", ".join(f"{part} {n}" for part, n in self.samples.most_common())
        return f"{self.name}: {1000 * self.spread.median:.1f} ms, {self.n_bytes / 1000:.0f} kB; {shares}"


def _view(name: str, trace: Trace, i: int) -> dict[str, Any]:
    config, last = trace.config, trace.n_tokens - 1
    run = {"trace": trace.key, "n_prompt": trace.n_tokens}
    pos = last - i
    chosen: dict[str, Any] = {"pos": pos, "key_pos": pos // 2, "head": (HEAD + i) % config.n_head}
    chosen |= {"layer": min(LAYER, config.n_layer - 1), "neuron": NEURON + i, "target": TARGET + i}
    return view_of(name, run, **chosen)


@contextmanager
def _sampled() -> Iterator[Counter[str]]:
    """Count by part the lines that run, a sample each `EVERY_S` of this process's time."""
    found: Counter[str] = Counter()

    def look(_signal: int, frame: FrameType | None) -> None:
        found[_part_of(frame)] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _part_of(frame: FrameType | None) -> str:
    while frame is not None:
        for part, folders in PARTS.items():
            if any(folder in frame.f_code.co_filename for folder in folders):
                return part
        frame = frame.f_back
    return "the rest"


def _told(page: str, n_tokens: int, answers: list[_Answers]) -> list[str]:
    medians = sorted((each.spread.median, each.name) for each in answers)
    samples = sum((each.samples for each in answers), Counter[str]())
    slowest_s, slowest = medians[-1]
    middle = Spread.of([seconds for seconds, _ in medians]).median
    shares = [f"{samples[part] / max(1, samples.total()):.0%}" for part in (*PARTS, "the rest")]
    return [
        *(
            page,
            f"{n_tokens:,}",
            str(len(answers)),
            f"{1000 * middle:.0f} ms",
            f"{1000 * slowest_s:.0f} ms ({slowest})",
        ),
        *(f"{sum(seconds for seconds, _ in medians):.2f} s", f"{sum(each.n_bytes for each in answers) / 1000:,.0f} kB"),
        *shares,
    ]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
