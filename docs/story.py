"""Plays the pages of the documentation; `python docs/story.py` writes what was printed back into them.

A page is a story. Its code blocks are taken in order, in a folder and a home of the page's own:
- a block with a name (`python run.py`, `toml pyproject.toml`, `yaml run.yaml`) is written to that file;
- `python` alone is run as a program of its own; a `text` block right after it is its standard output;
- `console` holds `$ commands`, run by a shell, each followed by what it prints, on either stream;
- `sh` is for what a page can't do to the checkout it stands in: only `make`, `git` and `pip` are allowed there;
- `mermaid` is a picture.
What differs from run to run (ids, times, widths of columns) is not compared; `...` stands for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
GENERATED = {"cli.md"}
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
PLAYED = [page for page in PAGES if page.name not in GENERATED]
FENCE = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VOLATILE = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
    (r"blake3:[0-9a-f]{6,}", "<digest>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<date>"),
    (r"\b\d+(\.\d+)? (ms|s|min)\b", "<time>"),
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b", "<run>"),
    (r'"[^"\n]*/page/', '"'),
    (r"  +", "  "),
)


class Block(NamedTuple):
    """One fenced block."""

    line: int
    language: str
    name: str
    text: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(text[: m.start()].count("\n") + 1, m[1], m[2], m[3]) for m in FENCE.finditer(text)]


def steady(text: str) -> str:
    """`text` without what differs from run to run."""
    for pattern, stand_in in VOLATILE:
        text = re.sub(pattern, stand_in, text)
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))


def fits(wanted: str, printed: str) -> bool:
    """Whether a page that says `wanted` is true when a program printed `printed`."""
    pattern = ".*?".join(re.escape(part) for part in steady(wanted).split("..."))
    return re.fullmatch(pattern, steady(printed), re.DOTALL) is not None


class Untrue(Exception):
    """A page says something that is not so."""


class Reader:
    """Someone who does what a page says, in a folder of their own; `play` gives the page as it should be."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.page, self.folder, self.printed = page, folder / "page", ""
        self.folder.mkdir()
        keep = {name: value for name, value in os.environ.items() if not name.startswith("CORE_")}
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        own = {"PATH": path, "CORE_HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "config")}
        self.environment = keep | own | {"NO_COLOR": "1", "COLUMNS": "100"}
        for name in ("CI", "FORCE_COLOR"):
            self.environment.pop(name, None)

    def play(self) -> str:
        """The page's text, each output replaced where it no longer fits; raises `Untrue` for a program that fails."""
        text = self.page.read_text()
        for block in blocks(text):
            new = self._takes(block)
            if new != block.text:
                text = text.replace(f"\n{block.text}```", f"\n{new}```", 1)
        return text

    def _takes(self, block: Block) -> str:
        where = f"{self.page.name}:{block.line}"
        if block.name:
            (self.folder / block.name).write_text(block.text)
        elif block.language == "python":
            (self.folder / "snippet.py").write_text(block.text)
            code, self.printed = self._runs(f"{sys.executable} snippet.py 2> errors.txt")
            if code:
                raise Untrue(f"{where} fails\n{self.printed}{(self.folder / 'errors.txt').read_text()}")
        elif block.language == "text":
            return block.text if fits(block.text, self.printed) else self._tidy(self.printed)
        elif block.language == "console":
            return "".join(map(self._command, re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]))
        elif block.language == "sh":
            if not all(line.split()[0] in {"make", "git", "pip", "#"} for line in block.text.splitlines() if line):
                raise Untrue(f"{where} holds a command that nobody tries; write it as `console`")
        elif block.language != "mermaid":
            raise Untrue(f"{where}: what is a block of {block.language!r}?")
        return block.text

    def _command(self, part: str) -> str:
        command, _, wanted = part.partition("\n")
        _, printed = self._runs(command)
        return f"$ {part}" if fits(wanted, printed) else f"$ {command}\n{self._tidy(printed)}"

    def _tidy(self, printed: str) -> str:
        text = printed.replace(f"{self.folder}{os.sep}", "")
        return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").split("\n"))

    def _runs(self, command: str) -> tuple[int, str]:
        done = subprocess.run(  # noqa: S603 - the pages are ours
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout


def main() -> None:
    """Write every page again."""
    for page in PLAYED:
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(Reader(page, Path(folder)).play())


if __name__ == "__main__":
    main()
