"""The command line: dashapp serve | worker | trace | generate | report | check | models | cache | doctor | settings.

Prints; the work is in the rooms below. Commands that run no model import no torch.
"""

from __future__ import annotations

import argparse
import codecs
import io
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dashapp import __version__
from dashapp.errors import DashappError, NoSecondPrompt, NotText, StoreUnavailable, UnwritableFile, in_megabytes
from dashapp.logs import begin_logging
from dashapp.model.sampling import SamplingSettings
from dashapp.settings import SECRETS, Settings, flag, setting_help, setting_names, variable

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2
    from dashapp.traces.record import Trace
    from dashapp.traces.run import Run, RunStep

# Settings that mean something to a command which serves nothing.
ENGINE_SETTINGS = (
    "model",
    "models_dir",
    "cache_dir",
    "cache_size",
    "store",
    "store_endpoint",
    "device",
    "dtype",
    "log_level",
    "log_format",
)
SELECTABLE = {"pos": "token", "layer": "layer", "head": "head", "neuron": "neuron"}  # by a number, in words
REPORT_PAGES = ("generation", "attention", "embeddings", "activations", "model", "compare")
N_TOP_SHOWN = 3
TABLE_SAYS = (
    "Surprisal: how unexpected the token was. Likelier tokens: how many were expected more. "
    f"Expected next: the {N_TOP_SHOWN} likeliest after it."
)

Command = Callable[[argparse.Namespace, Settings], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 found something wrong, 2 refused."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show é gets \xe9, not a traceback
    try:
        settings = Settings.read(**{name: getattr(options, name, None) for name in setting_names()})
        begin_logging(settings.log_level, settings.log_format)
        command: Command = options.command
        return command(options, settings)
    except DashappError as error:
        print(f"dashapp: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"dashapp: {StoreUnavailable(error.filename or 'the disk', error.strerror)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


# Commands ------------------------------------------------------------------------------------------------------------


def serve(_options: argparse.Namespace, settings: Settings) -> int:
    """Start the app."""
    from dashapp.server import serve as serve_app

    serve_app(settings)
    return 0


def worker(options: argparse.Namespace, settings: Settings) -> int:
    """Compute what web servers order through Redis, until told to end."""
    from dashapp.jobs.worker import run_node, run_worker  # with Celery, an extra that one machine does without

    return run_node(settings, options.only) if options.only else run_worker(settings)


def trace(options: argparse.Namespace, settings: Settings) -> int:
    """Trace a prompt: what the model expected at each token, and the file of all activations."""
    from dashapp import api
    from dashapp.traces.record import Trace

    _check_out(options.out)
    if options.file:
        made = Trace.open(options.file)
        made.verify()
    else:
        made = api.trace(
            _load(settings),
            _prompt(options),
            bos=options.bos,
            special_tokens=options.special_tokens,
            cache=options.cache,
            settings=settings,
        )
    if options.out:
        made.save(options.out)
    print(json.dumps(_trace_as_json(made), indent=2) if options.json else _trace_as_table(made))
    return 0


def generate(options: argparse.Namespace, settings: Settings) -> int:
    """Continue a prompt, printing tokens as they are drawn."""
    from dashapp import api

    sampling = {name: getattr(options, name) for name in SamplingSettings().as_dict()}
    SamplingSettings(**sampling)  # refused before a model is loaded
    _check_out(options.out)
    model = _load(settings)
    prompt = _prompt(options)
    stream = _Stream(sys.stdout, prompt)
    run = api.generate(
        model,
        prompt,
        **sampling,
        bos=options.bos,
        special_tokens=options.special_tokens,
        cache=options.cache,
        watch=(lambda steps: False) if options.json else stream.show,
        settings=settings,
    )
    if options.out:
        run.save(options.out)
    if options.json:
        print(json.dumps(_run_as_json(run), indent=2))
    else:
        stream.show(run.steps)
        print()
        if run.stop == "context":
            print(f"The context of {model.config.n_ctx:,} tokens is full: the text ends here.", file=sys.stderr)
    return 0


def report(options: argparse.Namespace, settings: Settings) -> int:
    """Write whole pages for one prompt, or two, to one HTML file that opens without a network.

    Figures that need a slow computation say so in the file, unless --all has it done first.
    """
    sampling = SamplingSettings(**{name: getattr(options, name) for name in SamplingSettings().as_dict()})
    pages = options.pages or (REPORT_PAGES[-1:] if options.b is not None else REPORT_PAGES[:4])
    if options.b is None and ("compare" in pages or options.align):
        raise NoSecondPrompt
    _check_out(options.out)
    from dashapp.analysis.alignment import Pins
    from dashapp.figures.theme import Frame
    from dashapp.panels.terms import token_of
    from dashapp.report.written import opened_prompts, write_report  # with Dash, which other commands do without

    pins = Pins.read(options.align)
    model = _load(settings)
    words = {"target": options.target, "against": options.against}
    selected = {name: getattr(options, name) for name in SELECTABLE}
    for name, word in words.items():
        selected[name] = None if word is None else token_of(word, d_vocab=model.config.d_vocab)
    reading = {"bos": options.bos, "special_tokens": options.special_tokens, "selected": selected, "settings": settings}
    prompts = opened_prompts(model, options.a, options.b, sampling, **reading, pins=pins)
    frame = Frame(theme=options.theme, units=options.units)
    says = _say if options.all else None
    write_report(options.out, prompts, pages=pages, frame=frame, settings=settings, pins=pins, says=says)
    _say(f"Wrote {options.out} ({in_megabytes(options.out.stat().st_size)}).")
    return 0


def check(options: argparse.Namespace, settings: Settings) -> int:
    """Check a model's weights: identities of a prompt's trace, and for GPT-2 small what was published."""
    from dashapp import api
    from dashapp.experiments.checking import check as check_weights
    from dashapp.experiments.checks import rows
    from dashapp.panels.checks import verdict
    from dashapp.panels.checks_table import cells_of

    model = _load(settings)
    assert model.weights is not None, "a loaded model knows its weights"
    made = api.trace(model, options.prompt, settings=settings)
    found = check_weights(model.weights, made, _show_share, depth="all" if options.all else "quick")
    checked = [(row, cells_of(row, is_done=True)) for row in rows(found)]
    if options.json:
        keys = ("verdict", "expected", "found", "difference", "allowed")
        told = [{"group": row.group, "check": row.what, **dict(zip(keys, said, strict=True))} for row, said in checked]
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for row, (says, expected, value, _difference, allowed) in checked:
            print(f"{says:<17} {row.group}: {row.what}")
            print(f"{'':<17} expected {expected}{f', found {value}' if value else ''}, allowed {allowed}")
        print(verdict(found))
    return 1 if any(row.verdict == "fail" for row, _said in checked) else 0


def models(options: argparse.Namespace, settings: Settings) -> int:
    """List the models that can be loaded, or fetch one."""
    from dashapp.model.registry import available, locate

    if options.fetch:
        folder = locate(options.fetch, models_dir=settings.models_dir, dtype=settings.dtype, progress=_show_progress)
        print(f"{options.fetch} is in {folder}")
        return 0
    infos = available(models_dir=settings.models_dir)
    if options.json:
        print(json.dumps([asdict(info) for info in infos], default=str, indent=2))
        return 0
    for info in infos:
        n_params = "" if info.n_params is None else f"{info.n_params / 1e6:,.0f}M parameters"
        place = "here" if info.is_local else "not on this machine yet"
        print(f"{info.name:<16} {n_params:<18} {in_megabytes(info.size_bytes):>9}  {info.problem or place}")
    print(f"Any other folder in Hugging Face format: --model FOLDER, or put it under {settings.models_dir}")
    return 0


def cache(options: argparse.Namespace, settings: Settings) -> int:
    """Show, tidy or clear the cache of traces, runs and the prompts of long links."""
    from dashapp.store.contract import StoreAddress
    from dashapp.store.opened import open_recipes, open_store

    store, recipes = open_store(StoreAddress.of(settings)), open_recipes(settings)
    if options.clear:
        from dashapp.jobs.manager import forget_jobs  # imports dash, which listing can do without

        store.clear()
        recipes.clear()
        forget_jobs(settings.cache_dir / "jobs")
    n_removed = store.check()
    stats, n_recipes = store.stats(), recipes.totals()[0]
    if options.json:
        print(json.dumps({"folder": str(settings.cache_dir), **asdict(stats), "n_recipes": n_recipes}, indent=2))
        return 0
    of_limit = "" if stats.limit_bytes is None else f" of {in_megabytes(stats.limit_bytes)}"
    used = f"{in_megabytes(stats.size_bytes)}{of_limit}"
    held = {"traces": stats.n_traces, "runs": stats.n_runs, "results": stats.n_results, "files": stats.n_files}
    counts = ", ".join([*(f"{what}: {n:,}" for what, n in held.items()), used])
    print(f"{settings.store or settings.cache_dir}: {counts}; prompts of long links: {n_recipes:,}")
    if n_removed:
        print(f"Removed {n_removed} leftovers of processes that died.")
    return 0


def doctor(options: argparse.Namespace, settings: Settings) -> int:
    """Check that everything the app needs is there and works."""
    from dashapp.doctor import examine

    findings = examine(settings)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.is_well else 'BAD '} {finding.what}: {finding.says}")
    return 0 if all(finding.is_well for finding in findings) else 1


def show_settings(options: argparse.Namespace, settings: Settings) -> int:
    """Show every setting, its value and what it does."""
    if options.json:
        print(
            json.dumps({name: _shown(name, value) for name, value in asdict(settings).items()}, default=str, indent=2)
        )
        return 0
    for name in setting_names():
        print(f"{variable(name)}={_as_text(_shown(name, getattr(settings, name)))}")
        print(f"    {setting_help(name)} Flag: {flag(name)}")
    return 0


# The parser ----------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dashapp", description="Look inside GPT-2.")
    parser.add_argument("--version", action="version", version=f"dashapp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Command, settings: Sequence[str] = ENGINE_SETTINGS) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        sub.set_defaults(command=command)
        for setting in settings:
            sub.add_argument(flag(setting), dest=setting, metavar="VALUE", help=f"{setting_help(setting)}")
        return sub

    add("serve", serve, setting_names())
    # --only is how a worker starts its two nodes.
    worker_parser = add("worker", worker, (*ENGINE_SETTINGS, "redis", "jobs", "job_timeout_s", "job_memory"))
    worker_parser.add_argument("--only", choices=("requests", "works"), help=argparse.SUPPRESS)
    for name, command in (("trace", trace), ("generate", generate)):
        _add_prompt(add(name, command))
    commands.choices["trace"].add_argument(
        "--open", dest="file", type=Path, metavar="FILE", help="Tell of the run in a file instead, without a model."
    )
    _add_sampling(commands.choices["generate"], SamplingSettings())
    _add_report(add("report", report))
    check_parser = add("check", check)
    check_parser.add_argument("prompt", nargs="?", default="Hello world!", help="Whose trace is checked.")
    check_parser.add_argument("--all", action="store_true", help="Also Hugging Face's model and maps of patching.")
    models_parser = add("models", models)
    models_parser.add_argument("--fetch", metavar="NAME", help="Fetch a published model from the hub.")
    cache_parser = add("cache", cache)
    cache_parser.add_argument(
        "--clear", action="store_true", help="Remove all traces and runs, and the prompts of long links."
    )
    for sub in (
        check_parser,
        models_parser,
        cache_parser,
        add("doctor", doctor),
        add("settings", show_settings, setting_names()),
    ):
        _add_json(sub)
    return parser


def _add_prompt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", nargs="?", help="The prompt; without it, or for '-', it is read from standard input.")
    _add_reading(parser)
    parser.add_argument("--no-cache", dest="cache", action="store_false", help="Neither read nor write the cache.")
    parser.add_argument("--out", type=Path, metavar="FILE", help="Write the whole result to a file.")
    _add_json(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-bos", dest="bos", action="store_false", help="Put no <|endoftext|> in front.")
    parser.add_argument(
        "--special-tokens", action="store_true", help="Read <|endoftext|> inside the prompt as that token."
    )


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--a", required=True, metavar="PROMPT", help="The prompt.")
    parser.add_argument("--b", metavar="PROMPT", help="A second one, to be compared with it.")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="The HTML file to write.")
    parser.add_argument(
        "--page",
        dest="pages",
        action="append",
        choices=REPORT_PAGES,
        help="A page to write; may be given several times. Without it: compare if there is --b, else the first four.",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="First compute what takes long (patching, lens maps, …): minutes for a large model or a long prompt. "
        "Without it nothing slow is computed, and figures that lack it say so.",
    )
    for name, what in SELECTABLE.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"Select this {what}, counted from 0.")
    parser.add_argument("--target", metavar="TOKEN", help="Select this token of the vocabulary as the target: ' Mary'.")
    parser.add_argument("--against", metavar="TOKEN", help="Compare the target with this one.")
    parser.add_argument(
        "--align",
        default="",
        metavar="EDITS",
        help="Edits of the alignment of --a and --b, as links of the app have them: 3-4.a5 pairs token 3 of a with "
        "token 4 of b, and leaves token 5 of a alone.",
    )
    parser.add_argument("--theme", default="light", choices=("light", "dark"), help="Colours of the file.")
    parser.add_argument("--units", default="bits", choices=("bits", "nats"), help="Units of information.")
    _add_reading(parser)
    _add_sampling(parser, SamplingSettings(max_new_tokens=0))


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def _add_sampling(parser: argparse.ArgumentParser, usual: SamplingSettings) -> None:
    parser.add_argument("--max-new-tokens", type=int, default=usual.max_new_tokens, help="At most so many new tokens.")
    parser.add_argument("--temperature", type=float, default=usual.temperature, help="0 takes the most likely token.")
    parser.add_argument("--top-k", type=int, default=usual.top_k, help="Keep so many tokens; 0 keeps all.")
    parser.add_argument("--top-p", type=float, default=usual.top_p, help="Keep that share of the probability.")
    parser.add_argument("--seed", type=int, default=usual.seed, help="Seed of the random numbers.")
    parser.add_argument("--no-stop-at-end", dest="stop_at_end", action="store_false", help="Go on after <|endoftext|>.")


# Reading and printing ------------------------------------------------------------------------------------------------


def _load(settings: Settings) -> GPT2:
    from dashapp import api

    return api.load(
        settings.model, dtype=settings.dtype, device=settings.device, progress=_show_progress, settings=settings
    )


def _prompt(options: argparse.Namespace) -> str:
    if options.prompt not in (None, "-"):
        return str(options.prompt)
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise NotText(error.start) from error


def _check_out(out: Path | None) -> None:
    """Refuse a place where nothing can be written before anything is computed."""
    if out is None:
        return
    if out.is_dir():
        raise UnwritableFile(out, "it is a folder")
    if not out.parent.is_dir():
        raise UnwritableFile(out, f"there is no folder {str(out.parent)!r}")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise UnwritableFile(out, "permission denied")


def _show_progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{in_megabytes(done)} of {in_megabytes(total)}", end=end, file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show_share(share: float) -> None:
    """On a terminal alone: in a file each would stand after the other."""
    if not sys.stderr.isatty():
        return
    print(f"\r{share:.0%}", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)


class _Stream:
    """Prints a prompt and what is drawn after it, whole characters at a time: a token may end inside one."""

    def __init__(self, out: TextIO, prompt: str) -> None:
        self._out, self._unprinted, self._n_shown = out, prompt, 0
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")

    def show(self, steps: Sequence[RunStep]) -> bool:
        """Print the steps that have come since the last call; never asks to stop."""
        from dashapp.model.tokenizer import END_OF_TEXT_ID, token_bytes

        self._out.write(self._unprinted)
        self._unprinted = ""
        for step in steps[self._n_shown :]:
            if step.token != END_OF_TEXT_ID:
                self._out.write(self._characters.decode(token_bytes(step.token)))
        self._out.flush()
        self._n_shown = len(steps)
        return False


def _trace_as_table(trace: Trace) -> str:
    lines = [f"{'pos':>4}  {'token':<16} {'surprisal':>10}  {'likelier tokens':>15}  expected next"]
    for row in _trace_as_json(trace)["tokens"]:
        expected = ", ".join(f"{top['text']!r} {math.exp(top['logprob']):.1%}" for top in row["top"][:N_TOP_SHOWN])
        bits = f"{-row['logprob'] / math.log(2):.2f} bits" if row["pos"] else ""
        rank = f"{row['rank']:,}" if row["pos"] else ""
        lines.append(f"{row['pos']:>4}  {row['text']!r:<16} {bits:>10}  {rank:>15}  {expected}")
    return "\n".join([*lines, TABLE_SAYS, f"{trace!r}, {in_megabytes(trace.size_bytes)}"])


def _trace_as_json(trace: Trace) -> dict[str, Any]:
    """What `dashapp trace --json` prints. The first token has no logprob and no rank: nothing stands before it."""
    from dashapp.model.tokenizer import token_text

    columns = ("logprob", "rank", "entropy", "top_ids", "top_logprobs")
    logprob, rank, entropy, top_ids, top_logprobs = (trace.read(name).tolist() for name in columns)
    tokens = [
        {
            "pos": pos,
            "id": int(trace.token_ids[pos]),
            "text": text,
            "logprob": logprob[pos] if pos else None,
            "rank": rank[pos] if pos else None,
            "entropy": entropy[pos],
            "top": [
                {"id": token, "text": token_text(token), "logprob": value}
                for token, value in zip(top_ids[pos], top_logprobs[pos], strict=True)
            ],
        }
        for pos, text in enumerate(trace.token_texts)
    ]
    return {**_identity(trace), "key": trace.key, "tokens": tokens}


def _run_as_json(run: Run) -> dict[str, Any]:
    """What `dashapp generate --json` prints. `u` is null at temperature 0, where no random number is drawn."""
    steps = [
        {
            "id": step.token,
            "text": step.text,
            "u": None if math.isnan(step.u) else step.u,
            "top_ids": step.top_ids.tolist(),
            "top_probs": step.top_probs.tolist(),
        }
        for step in run.steps
    ]
    return {
        **_identity(run),
        "key": run.key,
        "trace_key": run.trace_key,
        "settings": run.settings.as_dict(),
        "stop": run.stop,
        "text": run.text,
        "token_ids": run.token_ids.tolist(),
        "n_prompt": run.n_prompt,
        "steps": steps,
    }


def _identity(made: Trace | Run) -> dict[str, str]:
    return {"model": made.model_name, "fingerprint": made.fingerprint, "dtype": made.dtype}


def _shown(name: str, value: object) -> object:
    """A setting's value; a secret is not for screens and logs."""
    return "(set, not shown)" if name in SECRETS and value else value


def _as_text(value: object) -> str:
    """A setting as one would write it."""
    match value:
        case None:
            return "auto"
        case tuple():
            return ",".join(value)
        case _:
            return str(value)
