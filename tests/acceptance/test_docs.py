"""Every page of documentation is a story that is played: files written, code run, commands typed, output compared.

A page's code blocks are taken in order, in a folder and a home of the page's own:
- a block with a name (`python run.py`, `toml pyproject.toml`, `yaml run.yaml`) is written to that file;
- `python` alone is run as a program of its own; a `text` block right after it is what it must print;
- `console` holds `$ commands`, run by a shell, each followed by what it must print, on either stream;
- `sh` is for what a page can't do to the checkout it stands in: only `make`, `git` and `pip` are allowed there.
In expected output `...` stands for anything. Other blocks (`mermaid`) are pictures.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = {"cli.md"}
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURES = {"mermaid"}


class Block(NamedTuple):
    line: int
    language: str
    name: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [Block(text[: m.start()].count("\n") + 1, m[1], m[2], m[3]) for m in FENCE.finditer(text)]


def fits(wanted: str, printed: str) -> bool:
    """Whether `printed` is `wanted`, where `...` stands for anything and spaces at line ends do not count."""
    lines = [line.rstrip() for line in wanted.strip("\n").split("\n")]
    pattern = ".*?".join(re.escape(part) for part in "\n".join(lines).split("..."))
    tidy = "\n".join(line.rstrip() for line in printed.strip("\n").split("\n"))
    return re.fullmatch(pattern, tidy, re.DOTALL) is not None


class Reader:
    """Someone who does what a page says."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.page, self.folder, self.printed = page, folder, ""
        (folder / "page").mkdir()
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        self.environment = os.environ | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "100", "USER": "ada"}
        for name in ("CI", "FORCE_COLOR", "PYTEST_CURRENT_TEST"):
            self.environment.pop(name, None)

    def runs(self, command: str | list[str]) -> str:
        done = subprocess.run(
            command, shell=isinstance(command, str), cwd=self.folder / "page", env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False, timeout=120,
        )  # fmt: skip
        self.code = done.returncode
        return done.stdout

    def compares(self, block: Block, wanted: str, printed: str) -> None:
        where = f"{self.page.name}:{block.line}"
        assert fits(wanted, printed), f"{where} says\n{wanted}\nbut it printed\n{printed}"

    def takes(self, block: Block) -> None:
        if block.name:
            (self.folder / "page" / block.name).write_text(block.text)
        elif block.language == "python":
            (self.folder / "page" / "snippet.py").write_text(block.text)
            self.printed = self.runs([sys.executable, "snippet.py"])
            assert self.code == 0, f"{self.page.name}:{block.line}\n{self.printed}"
        elif block.language == "text":
            self.compares(block, block.text, self.printed)
        elif block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, wanted = part.partition("\n")
                self.compares(block, wanted, self.runs(command))
        elif block.language == "sh":
            assert all(line.split()[0] in {"make", "git", "pip", "#"} for line in block.text.splitlines() if line), (
                block
            )
        else:
            assert block.language in PICTURES, f"{self.page.name}:{block.line}: what is a block of {block.language!r}?"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in GENERATED], ids=lambda page: page.name)
def test_a_page_is_true(page: Path, tmp_path: Path) -> None:
    reader = Reader(page, tmp_path)
    for block in blocks(page):
        reader.takes(block)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_dots_stand_for_anything_and_nothing_else_does() -> None:
    assert fits("a ... c", "a b\nb c")
    assert not fits("a ... c", "a b d")
    assert not fits("a.c", "abc")


def test_no_file_names_a_package_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\n")  # fmt: skip
    names = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com"]
    for file in filter(None, listed):
        path = ROOT / file
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            assert not [name for name in names if name in text], file
