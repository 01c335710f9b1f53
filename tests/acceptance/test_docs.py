"""Every page of documentation is played, and says the truth; docs/story.py tells how."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from story import PAGES, PLAYED, ROOT, Reader, fits

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.name)
def test_a_page_is_true(page: Path, tmp_path: Path) -> None:
    assert Reader(page, tmp_path).play() == page.read_text(), "`make docs` writes the outputs again"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_dots_and_what_differs_from_run_to_run_are_not_compared() -> None:
    assert fits("a ... c", "a b\nb c")
    assert fits("load  0.13 s  run 41b74eef", "load 2 ms   run 90fd75ea".replace(" 2", "  2"))
    assert not fits("a ... c", "a b d")
    assert not fits("a.c", "abc")


def test_no_file_names_a_package_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    names = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com"]
    for file in filter(None, listed):
        path = ROOT / file
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            assert not [name for name in names if name in text], file
