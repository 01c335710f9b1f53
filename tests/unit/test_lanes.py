"""Steps side by side in other processes: each has its log, and on the terminal no line is of two."""

from __future__ import annotations

import io
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import mask
from core.capture import Capture
from core.logs import read
from core.ports.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTES = 2_000 if os.environ.get("CORE_FAULTS") == "1" else 200
PIECES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["stdout", "stderr"]),
        st.text("xyz", max_size=3),
        st.booleans(),
    ),
    max_size=30,
)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Listening(Observer):
    """Shows what steps print."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []

    def output(self, step: str, stream: str, text: str) -> bool:
        self.heard.append((step, stream, text))
        return True


MADE: list[Capture] = []


def capture(folder: Path, *observers: Observer, limit: int = 1 << 20, stream: Any = None) -> tuple[Capture, Any]:
    """What a run has, and the stream that it passes output on to."""
    made = Capture(str(folder), observers, limit=limit)
    stream = io.StringIO() if stream is None else stream
    made.originals = [stream, stream]
    MADE.append(made)
    return made, stream


def end() -> None:
    """Close what the attempts have open, as the end of a run does."""
    while MADE:
        MADE.pop()._beside().close_all()


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    end()


def test_an_attempt_alone_is_passed_on_as_it_prints(tmp_path: Path) -> None:
    made, shown = capture(tmp_path)
    made.feed("train", 1, "stdout", b"  5 %\r")
    made.feed("train", 1, "stdout", b" 10 %")
    assert shown.getvalue() == "  5 %\r 10 %"
    made.close_attempt("train", 1)
    made.feed("test", 1, "stdout", b"next\n")
    assert shown.getvalue().endswith(" 10 %\nnext\n")
    assert read(str(tmp_path), "train", 1) == "  5 %\r 10 %"


def test_lines_of_several_carry_their_steps_name(tmp_path: Path) -> None:
    made, shown = capture(tmp_path)
    made.open_attempt("a", 1)
    made.open_attempt("b[0]", 2)
    made.feed("a", 1, "stdout", b"one ")
    made.feed("b[0]", 2, "stdout", b"two\nthree\nfo")
    made.feed("a", 1, "stdout", b"line\n\n")
    made.close_attempt("b[0]", 2)
    made.feed("a", 1, "stdout", b"still\n")
    made.close_attempt("a", 1)
    assert shown.getvalue() == "[b[0]] two\n[b[0]] three\n[a] one line\n[a] \n[b[0]] fo\n[a] still\n"
    assert read(str(tmp_path), "b[0]", 2) == "two\nthree\nfo"


def test_one_alone_that_is_joined_ends_its_line_first(tmp_path: Path) -> None:
    made, shown = capture(tmp_path)
    made.feed("a", 1, "stdout", b"begun")
    made.feed("b", 1, "stderr", b"other\n")
    made.feed("a", 1, "stdout", b" ended\n")
    assert shown.getvalue() == "begun\n[b] other\n[a]  ended\n"


@pytest.mark.parametrize(("no_colour", "wanted"), [("", "\x1b[2m[a]\x1b[22m x\n"), ("1", "[a] x\n")])
def test_names_are_dim_in_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_colour: str, wanted: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    made, shown = capture(tmp_path, stream=Terminal())
    made.open_attempt("b", 1)
    made.feed("a", 1, "stdout", b"x\n")
    assert shown.getvalue() == wanted


@given(PIECES)
def test_no_line_is_of_two_and_each_log_is_whole(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[str, str, str, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    made, shown = capture(folder)
    wanted: dict[str, str] = {}
    texts: dict[tuple[str, str], str] = {}
    for step in "abc":
        made.open_attempt(step, 1)
    for step, stream, text, ended in pieces:
        said = text + ("\n" if ended else "")
        wanted[step] = wanted.get(step, "") + said
        texts[step, stream] = texts.get((step, stream), "") + said
        if said:
            made.feed(step, 1, stream, said.encode())
    for step in "abc":
        made.close_attempt(step, 1)
        assert read(str(folder), step, 1) == wanted.get(step, "")
    lines = sorted(
        f"[{step}] {line}" for (step, _), text in texts.items() for line in text.removesuffix("\n").split("\n") if text
    )
    assert sorted(shown.getvalue().splitlines()) == lines


def test_a_progress_bar_beside_others_shows_its_last_state(tmp_path: Path) -> None:
    made, shown = capture(tmp_path, limit=1 << 30)
    made.open_attempt("b", 1)
    for number in range(100_000):
        made.feed("a", 1, "stderr", b"\r%9d" % number)
    assert len(made._beside().open("a", 1).partial["stderr"]) < 20
    made.feed("a", 1, "stderr", b"\r\ndone\r\n")
    assert shown.getvalue() == "[a]     99999\n[a] done\n"
    end()
    assert len(read(str(tmp_path), "a", 1)) == 1_000_008


def test_a_line_of_10_megabytes_does_not_pile_up(tmp_path: Path) -> None:
    made, shown = capture(tmp_path, limit=1 << 24)
    made.open_attempt("b", 1)
    for _ in range(160):
        made.feed("a", 1, "stdout", b"x" * 65536)
    made.close_attempt("a", 1)
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 3 * 65536
    assert shown.getvalue().count("x") == 160 * 65536
    assert read(str(tmp_path), "a", 1) == "x" * 160 * 65536


def test_observers_get_whole_lines_without_names(tmp_path: Path) -> None:
    listening = Listening()
    made, shown = capture(tmp_path, listening)
    made.feed("a", 1, "stdout", b"\xe5\x90")
    made.feed("a", 1, "stdout", b"\x8d\n")
    made.feed("b", 1, "stderr", b"x\ny")
    made.close_attempt("b", 1)
    assert listening.heard == [("a", "stdout", "名\n"), ("b", "stderr", "x\n"), ("b", "stderr", "y\n")]
    assert shown.getvalue() == ""


def test_a_secret_in_two_pieces_is_masked_in_log_and_terminal(tmp_path: Path) -> None:
    mask.add_secret("canary-in-two-pieces")
    made, shown = capture(tmp_path)
    for piece in (b"x canary-in", b"-two-pie", b"ces y\ncanary-in"):
        made.feed("a", 1, "stdout", piece)
    made.close_attempt("a", 1)
    assert shown.getvalue() == read(str(tmp_path), "a", 1) == "x *** y\ncanary-in"


def test_a_log_that_cannot_be_written_ends_nothing_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file stands here")
    made, shown = capture(tmp_path / "logs")
    for attempt in (1, 2):
        made.feed("a", attempt, "stdout", b"line\n")
        made.close_attempt("a", attempt)
    said, *lines = shown.getvalue().splitlines()
    assert re.match(r"core: step logs are no longer written: .*logs", said)
    assert lines == ["line", "line"]


def test_a_full_disk_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, shown = capture(tmp_path)
    made.feed("a", 1, "stdout", b"x\n")
    log = made._beside().open("a", 1).log
    log.close()
    monkeypatch.setattr(log, "_file", open("/dev/full", "ab", 0))  # noqa: SIM115
    made.feed("a", 1, "stdout", b"y\n")
    made.close_attempt("a", 1)
    assert "No space left" in shown.getvalue()
    assert [line for line in shown.getvalue().splitlines() if len(line) == 1] == ["x", "y"]


def test_many_threads_may_feed(tmp_path: Path) -> None:
    made, shown = capture(tmp_path)

    def print_much(step: str) -> None:
        for number in range(2_000):
            made.feed(step, 1, "stdout", b"%s %d\n" % (step.encode(), number))
        made.close_attempt(step, 1)

    threads = [threading.Thread(target=print_much, args=(step,)) for step in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for step in "abcd":
        wanted = [f"{step} {number}" for number in range(2_000)]
        assert read(str(tmp_path), step, 1).splitlines() == wanted
        lines = [line.removeprefix(f"[{step}] ") for line in shown.getvalue().splitlines()]
        assert [line for line in lines if line.startswith(step)] == wanted


def peak() -> int:
    """The most memory that this process had, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_gigabytes_take_little_memory(tmp_path: Path) -> None:
    piece = b"\n".join([b"x" * 99] * 10_000)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        made, _ = capture(tmp_path, limit=16 << 20, stream=nowhere)
        made.open_attempt("b", 1)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is measured anew: other tests had theirs
        before = peak()
        for _ in range(MEGABYTES):
            made.feed("a", 1, "stdout", piece)
        made.close_attempt("a", 1)
        assert peak() - before < 30 << 10
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 16 << 20
    text = read(str(tmp_path), "a", 1)
    (gap,) = re.findall(r"\n?\.\.\. ([\d,]+) bytes left out", text)
    assert int(gap.replace(",", "")) > (MEGABYTES - 17) * 999_000
