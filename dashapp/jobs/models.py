"""What a list of models shows: each with its size, whether it can be used, and its download. Torch-free.

A plain table for a browser; the models themselves are known to `model.opened`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from dashapp.jobs.downloads import Download, Downloads
from dashapp.model.opened import Models
from dashapp.model.registry import ModelInfo

Row = dict[str, Any]

NEVER_ASKED: Final = Download(phase="done")
UNDER_WAY: Final = ("running", "checking", "stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """The models of a server and their downloads, as a browser sees and orders them."""

    models: Models
    downloads: Downloads

    def answer(self, order: object) -> list[Row]:
        """All models, after an order was carried out: {"do": "list" | "download" | "stop", "name": …}.

        Raises: ValueError for an order that no page of ours sends.
        """
        infos = self.models.infos()
        match order:
            case None | {"do": "list"}:
                pass
            case {"do": ("download" | "stop") as do, "name": str(name)} if name in {info.name for info in infos}:
                act: Callable[[str], None] = self.downloads.start if do == "download" else self.downloads.stop
                act(name)
            case _:
                raise ValueError("an order lists the models, or downloads or stops one of them")
        return [self._row(info) for info in infos]

    def _row(self, info: ModelInfo) -> Row:
        """A model as data. state: here, absent, unusable (problem says why), or the phase of its download."""
        download = self.downloads.state(info.name) or NEVER_ASKED
        return {
            "name": info.name,
            "size_bytes": info.size_bytes,
            "n_params": info.n_params,
            "problem": info.problem,
            "state": _state(info, download),
            "done_bytes": download.done_bytes,
            "total_bytes": download.total_bytes,
            "seconds_left": download.seconds_left,
            "failure": download.failure,
        }


def _state(info: ModelInfo, download: Download) -> str:
    if download.phase in UNDER_WAY:  # it can be stopped, whatever else
        return download.phase
    if info.problem is not None:
        return "unusable"
    if info.is_local:
        return "here"
    return "absent" if download.phase == "done" else download.phase  # done, and gone from the disk since
