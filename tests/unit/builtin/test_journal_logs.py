"""Logs in chunks beside the artifacts: what another home reads is what the owner's home has, and requests are few."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.builtin.journal import logs
from core.builtin.journal.logs import Courier, fetch
from core.builtin.stores.local import LocalArtifactStore
from core.errors import StoreError
from core.logs import LogFile, read, remove

if TYPE_CHECKING:
    from pathlib import Path

RUN = "0197f000-0000-7000-8000-000000000001"
SIZES = {"SMALL": 40, "LARGEST": 100, "BURST": 150}


class Counting(LocalArtifactStore):
    """Counts what a bucket would be paid for, and may be away."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.calls: list[str] = []
        self.away = False

    def write(self, name: str, data: bytes, *, new: bool = False) -> bool:
        self.calls.append(name)
        if self.away:
            raise StoreError("the bucket is away", "wait")
        return super().write(name, data, new=new)

    def remove(self, name: str) -> None:
        if self.away:
            raise StoreError("the bucket is away", "wait")
        super().remove(name)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SIZES.items():
        monkeypatch.setattr(logs, name, value)


def courier(store: Counting, folder: Path | str, *, taken: bool = False) -> Courier:
    """Looks only when it is told to."""
    made = Courier(store, RUN, str(folder), taken=taken)
    made._thread.run = lambda: None  # type: ignore[method-assign]
    made.start()
    return made


@pytest.mark.usefixtures("small")
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=250), st.booleans()), max_size=25),
    st.sampled_from([0, 64, 400, 1 << 20]),
)
def test_others_read_what_the_owner_reads(tmp_path_factory: Any, pieces: list[tuple[bytes, bool]], limit: int) -> None:
    """Whenever somebody looks, and however much is left out in between: at the end all is the same."""
    folder = tmp_path_factory.mktemp("logs")
    store = Counting(str(folder / "store"))
    log, sending = LogFile(str(folder / "a"), "train", 1, limit), courier(store, folder / "a")
    for data, look in pieces:
        log.write(data)
        if look:
            log.flush()
            sending._look(end=False)
            fetch(store, RUN, str(folder / "b"), ["train.1"])
            seen = read(str(folder / "b"), "train", 1)
            assert len(seen) <= limit + 400
    log.close()
    sending.end()
    fetch(store, RUN, str(folder / "b"), ["train.1"])
    assert read(str(folder / "b"), "train", 1) == read(str(folder / "a"), "train", 1)
    fetch(store, RUN, str(folder / "a"), ["train.1"])
    assert read(str(folder / "b"), "train", 1) == read(str(folder / "a"), "train", 1)


def test_requests_are_few(tmp_path: Path) -> None:
    """A log that grows little by little is one object, that does not grow costs nothing."""
    store = Counting(str(tmp_path / "store"))
    log, sending = LogFile(str(tmp_path / "a"), "train", 1), courier(store, tmp_path / "a")
    for number in range(10):
        log.write(b"epoch %d\n" % number)
        log.flush()
        sending._look(end=False)
        sending._look(end=False)
    log.close()
    assert (len(store.calls), len(set(store.calls))) == (10, 1)
    sending.end()
    assert len(store.calls) == 10


@pytest.mark.usefixtures("small")
def test_another_owner_writes_an_attempt_anew(tmp_path: Path) -> None:
    """What the owner before sent of an attempt that is taken over gives way; other logs stay."""
    store = Counting(str(tmp_path / "store"))
    for name in ("train", "made"):
        log = LogFile(str(tmp_path / "a"), name, 1)
        log.write(b"the first owner's\n" * 20)
        log.close()
    courier(store, tmp_path / "a").end()
    second = courier(store, tmp_path / "b", taken=True)
    fetch(store, RUN, str(tmp_path / "b"), ["train.1"])
    remove(str(tmp_path / "b"), "train", 1)
    second.forget("train", 1)
    log = LogFile(str(tmp_path / "b"), "train", 1)
    log.write(b"the second's\n" * 40)
    log.close()
    second.end()
    fetch(store, RUN, str(tmp_path / "c"), ["train.1", "made.1"])
    assert read(str(tmp_path / "c"), "train", 1) == "the second's\n" * 40
    assert read(str(tmp_path / "c"), "made", 1) == "the first owner's\n" * 20


@pytest.mark.usefixtures("small")
def test_an_attempt_is_written_anew_though_the_store_was_away(tmp_path: Path) -> None:
    """The log that takes the place of another is longer, so that its length tells nothing."""
    store, folder = Counting(str(tmp_path / "store")), str(tmp_path / "a")
    made = courier(store, folder)
    for line, count in (("the first\n", 10), ("the other\n", 12)):
        remove(folder, "train", 1)
        log = LogFile(folder, "train", 1)
        log.write(line.encode() * count)
        log.close()
        if count == 12:
            made.forget("train", 1)
            store.away = True
        made._try()
        assert (made._away is not None) == store.away
    store.away = False
    made.end()
    fetch(store, RUN, str(tmp_path / "b"), ["train.1"])
    assert read(str(tmp_path / "b"), "train", 1) == "the other\n" * 12


def test_a_store_that_is_away_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(logs, "PATIENCE", 0.2)
    store = Counting(str(tmp_path / "store"))
    log = LogFile(str(tmp_path / "a"), "train", 1)
    log.write(b"text")
    log.close()
    store.away = True
    courier(store, tmp_path / "a").end()
    assert "whole in this home only: the bucket is away" in capfd.readouterr().err
    store.away = False
    courier(store, tmp_path / "a", taken=True).end()
    assert len(os.listdir(tmp_path / "store" / "logs" / RUN / "train.1")) == 1
