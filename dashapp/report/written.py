"""A report from the command line: prompts are traced here, and no server and no browser is asked for anything."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask

from dashapp import api
from dashapp.analysis.alignment import NO_PINS, Pins
from dashapp.app import open_source
from dashapp.errors import DashappError, UnwritableFile
from dashapp.figures.theme import Frame
from dashapp.jobs.works import KINDS, run_work
from dashapp.model.sampling import SamplingSettings
from dashapp.panels.source import Source
from dashapp.report.contents import Prompt, Report
from dashapp.report.document import pieces
from dashapp.report.opened import prompts_opened, report_opened
from dashapp.settings import Settings
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


def opened_prompts(
    model: GPT2,
    a: str,
    b: str | None,
    sampling: SamplingSettings,
    *,
    bos: bool,
    special_tokens: bool,
    selected: Mapping[str, int | None],
    settings: Settings,
    pins: Pins = NO_PINS,
) -> tuple[Prompt, ...]:
    """One prompt or two, continued and traced, as pages show them with a selection in the first.

    pins: decided of the alignment of the two. Raises: PromptError, TraceTooLarge, BadPins.
    """

    def traced(text: str) -> tuple[Trace, int, SamplingSettings]:
        drawn: dict[str, Any] = {**sampling.as_dict(), "bos": bos, "special_tokens": special_tokens}
        run = api.generate(model, text, **drawn, settings=settings)
        trace = api.trace(model, run.token_ids, settings=settings)
        return trace, run.n_prompt, run.settings

    return prompts_opened([traced(text) for text in (a, b) if text is not None], selected, pins)


def write_report(
    out: Path,
    prompts: tuple[Prompt, ...],
    *,
    pages: Iterable[str],
    frame: Frame,
    settings: Settings,
    pins: Pins = NO_PINS,
    says: Callable[[str], None] | None = None,
) -> None:
    """Pages of these prompts as a file. says: told what is computed, and what failed; without it nothing slow is.

    Raises: StoreUnavailable, UnwritableFile.
    """
    holder = Flask("dashapp.report")  # panels find what they read from through one
    open_source(settings).install(holder)
    with holder.app_context():
        report = report_opened(prompts, [page.capitalize() for page in pages], frame, pins)
        if says is not None:
            _compute(report, settings, says)
        written = pieces(report, now=datetime.now().astimezone())
        try:
            with out.open("w", encoding="utf-8", newline="") as file:
                file.writelines(written)
        except OSError as error:
            raise UnwritableFile(out, error.strerror or error) from error


# What takes long -----------------------------------------------------------------------------------------------------


class _Alone:
    """What a work is told of its surroundings: nobody watches it, and Ctrl-C is what stops it."""

    @property
    def tell(self) -> Callable[..., None]:
        return lambda *_told: None

    @property
    def should_stop(self) -> Callable[[], bool]:
        return lambda: False


def _compute(report: Report, settings: Settings, says: Callable[[str], None]) -> None:
    """Have the result of every figure's work in the store; what fails is said, and its figure says what it lacks."""
    _become_a_job(settings)
    store = Source.here().store
    works = {work.key: work for entry in report.entries if (work := entry.work) is not None}
    missing = [work for key, work in works.items() if store.get_result(key) is None]
    for place, work in enumerate(missing, start=1):
        says(f"{place} of {len(missing)}: {KINDS[work.kind].title}")
        try:
            run_work(_Alone(), work.order(store))
        except DashappError as error:
            says(str(error))


def _become_a_job(settings: Settings) -> None:
    """From here on this process has the model at hand as a job's does, but still heeds Ctrl-C."""
    os.environ.update(settings.environ())
    on_interrupt = signal.getsignal(signal.SIGINT)
    from dashapp.jobs import warm  # noqa: F401  it loads the model when it is imported

    signal.signal(signal.SIGINT, on_interrupt)
