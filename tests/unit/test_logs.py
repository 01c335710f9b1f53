"""Logs in files: what is kept of much output, read back whole, from its end, and while it is written."""

from __future__ import annotations

import os
import re
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.logs import LogFile, Reader, offsets, read, stem

if TYPE_CHECKING:
    from pathlib import Path

GAP = re.compile(rb"\n?\.\.\. ([\d,]+) bytes left out \.\.\.\n")
PIECES = st.lists(st.binary(max_size=300).map(lambda data: data.replace(b".", b"\n")), max_size=30)


def written(folder: Path | str, pieces: list[bytes], limit: int, step: str = "train") -> bytes:
    """Write pieces as one attempt's log; gives the whole that was printed."""
    log = LogFile(str(folder), step, 1, limit)
    for piece in pieces:
        log.write(piece)
    log.close()
    return b"".join(pieces)


def kept(folder: Path | str, step: str = "train") -> bytes:
    return b"".join(Reader(str(folder), step, 1).new())


def check(whole: bytes, text: bytes, limit: int) -> None:
    """`text` is the beginning and the end of `whole`, and says rightly how much lies between."""
    found = GAP.search(text)
    if found is None:
        assert text == whole
        assert len(whole) <= limit
        return
    head, tail = text[: found.start()], text[found.end() :]
    if len(head) < limit // 2 and found[0].startswith(b"\n"):
        head += b"\n"  # was printed: the line before the gap was whole
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + len(tail) + int(found[1].replace(b",", b"")) == len(whole)
    assert len(head) == limit // 2
    assert limit * 3 // 8 - 8 <= len(tail) <= limit // 2 + 8


@given(PIECES, st.sampled_from([64, 200, 1000]))
@example([bytes(25), bytes(6) + b"\n" + bytes(18), bytes(15)], 64)
def test_the_beginning_and_the_end_are_kept_however_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    whole = written(folder, pieces, limit)
    check(whole, kept(folder), limit)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= limit + 8
    for lines in (0, 1, 3, 1000):
        ended = kept(folder).split(b"\n")
        end = [ended.pop()] if not ended[-1] else []
        wanted = b"\n".join([*(ended[-lines:] if lines else []), *end]) if lines and ended else b""
        assert Reader(str(folder), "train", 1).tail(lines) == wanted


@given(PIECES, st.lists(st.booleans(), min_size=30, max_size=30))
def test_what_is_read_while_it_is_written_is_all(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], looks: list[bool]
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    log, reader, text = LogFile(str(folder), "train", 1, 1000), Reader(str(folder), "train", 1), b""
    for piece, look in zip(pieces, looks, strict=False):
        log.write(piece)
        if look:
            log.flush()
            text += b"".join(reader.new())
    log.close()
    text += b"".join(reader.new())
    told = sum(int(size.replace(b",", b"")) for size in GAP.findall(text))
    assert len(GAP.sub(b"", text)) + told == len(b"".join(pieces))
    if all(looks[: len(pieces)]):
        assert text == b"".join(pieces)


def test_a_look_at_the_end_goes_on_from_there(tmp_path: Path) -> None:
    log, reader = LogFile(str(tmp_path), "train", 1), Reader(str(tmp_path), "train", 1)
    assert list(reader.new()) == []
    assert reader.tail(2) == b""
    log.write(b"one\ntwo\nthr")
    log.flush()
    assert reader.tail(2) == b"two\nthr"
    log.write(b"ee\n")
    log.close()
    assert list(reader.new()) == [b"ee\n"]


def test_a_later_writer_goes_on(tmp_path: Path) -> None:
    whole = b"".join(written(tmp_path, [f"line {number}\n".encode()], 200) for number in range(100))
    check(whole, kept(tmp_path), 200)


def test_nothing_is_kept_without_a_limit(tmp_path: Path) -> None:
    written(tmp_path / "logs", [b"much"], 0)
    assert not (tmp_path / "logs").exists()
    assert read(str(tmp_path / "logs"), "train", 1) == ""


@pytest.mark.parametrize("limit", [1, 2, 7, 8])
def test_tiny_limits(tmp_path: Path, limit: int) -> None:
    whole = written(tmp_path, [b"a", b"b" * 10, b"c" * 1000], limit)
    text = kept(tmp_path)
    found = GAP.search(text)
    assert found is not None
    assert len(GAP.sub(b"", text)) + int(found[1].replace(b",", b"")) == len(whole)


def test_names_that_could_be_taken_for_others(tmp_path: Path) -> None:
    names = ["train", "train.1", "train.1.log", "train[0]", "train 2", "tra\u00edn", "9", "名" * 100, "名" * 99 + "x"]
    for name in names:
        written(tmp_path, [f"{name}\n".encode(), b"x" * 300], 100, name)
    assert len(offsets(str(tmp_path))) == len(names)
    for name in names:
        assert read(str(tmp_path), name, 1).startswith(name[:10])
        assert read(str(tmp_path), name, 2) == ""
        assert len(os.fsencode(stem(name, 1))) < 220


def test_a_file_that_is_no_log_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "odd+x.log").write_text("x")
    written(tmp_path, [b"text\n"], 100)
    assert kept(tmp_path) == b"text\n"
    assert offsets(str(tmp_path / "notes.txt")) == {}


def test_a_part_that_is_missing_is_told(tmp_path: Path) -> None:
    written(tmp_path, [b"%9d\n" % number for number in range(100)], 800)
    (tmp_path / "train.1+700.log").unlink()
    text = kept(tmp_path)
    assert [int(size.replace(b",", b"")) for size in GAP.findall(text)] == [200, 100]
    assert text.endswith(b"98\n       99\n")


def test_much_output_takes_little_memory(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path), "train", 1, 8 << 20)
    line = b"x" * (1 << 20)
    tracemalloc.start()
    for _ in range(300):
        log.write(line)
    log.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 8 << 20
    assert Reader(str(tmp_path), "train", 1).tail(0) == b""
