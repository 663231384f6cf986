"""`python -m benchmarks`: measure, print one table, and with --write put it into docs/performance.md."""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

from benchmarks.interleaved import CLOCKS

PAGE = Path(__file__).parents[1] / "docs/performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, help="a model's folder; without one, random weights of gpt2's shape")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 256, 1024], help="prompt lengths in tokens")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; 0 leaves them as they are")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall", help="cpu: where others use the machine")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measure(chosen, Path(scratch))


def measure(chosen: argparse.Namespace, scratch: Path) -> None:
    import torch  # takes seconds: not for --help

    from benchmarks.analyses import analysis_rows
    from benchmarks.engine import engine_rows
    from benchmarks.make_model import make_model
    from benchmarks.pages import page_rows
    from benchmarks.table import engine_machine, table, write_into
    from dashapp.model.registry import HUB_MODELS

    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    folder = chosen.model or make_model(HUB_MODELS["gpt2"].config, scratch / "gpt2")
    pages = page_rows(folder, n_tokens=max(chosen.lengths), n_runs=chosen.runs, clock=chosen.clock)
    engine = engine_rows(folder, lengths=chosen.lengths, n_runs=chosen.runs, clock=chosen.clock)
    analyses = analysis_rows(folder, n_runs=chosen.runs, clock=chosen.clock)
    rows = []
    for row in itertools.chain(pages, engine, analyses):
        rows.append(row)
        print(f"{row.what} / {row.beside}: {row.value.median:.3g} {row.unit}", flush=True)
    text = f"{engine_machine(torch.get_num_threads(), chosen.clock)}\n\n{table(rows)}"
    print(f"\n{text}")
    if chosen.write:
        write_into(PAGE, text)


if __name__ == "__main__":
    main()
