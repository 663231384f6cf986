"""What the web process keeps to itself: pages of weights and traces that it maps belong to their files."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import SMALL, serving
from tests.browser.steps import open_example
from tests.doubles import save_model_folder

LIMIT_BYTES = 200_000_000


def private_bytes(process: psutil.Process) -> int:
    """Memory that a process has written to and shares with no other and no file."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Private_Dirty:\s+(\d+) kB$", rollup, flags=re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells what of a process's memory is its own")
def test_the_web_process_keeps_less_than_200_mb_to_itself(chromium: Browser, tmp_path: Path) -> None:
    """A server of its own, whose pages nobody visited before."""
    with serving(tmp_path, save_model_folder(tmp_path / "small", SMALL)) as served:
        page = chromium.new_page()
        open_example(page, served.base)
        # Gunicorn's master and its one serving process; the fork server's processes compute, and have torch.
        below = psutil.Process(served.process.pid).children()
        web = [each for each in below if "multiprocess" not in " ".join(each.cmdline())]
        assert len(web) == 1
        assert 20_000_000 < private_bytes(web[0]) < LIMIT_BYTES
        page.close()
