"""Files as a layer: the same bytes for the same files on any machine, packed by all cores."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from core.errors import ConfigurationError
from core.oci.image import Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from typing import BinaryIO

    from core.image.files import SourceFile

USER = 1000
"""Number of the user and group that own the files: the one that containers run as."""
BLOCK = 1 << 18
"""Bytes that are compressed on their own: fixed, so that the number of cores changes no byte."""
PIECE = 4 << 20
"""Bytes of a large file that are read at a time."""
LEVEL = 1
"""Of compression: what travels is small, and somebody waits for it."""
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
"""Of gzip: no name, no time, fastest, of no special system."""


def write_layer(files: Iterable[SourceFile], folder: str, out: BinaryIO) -> Layer:
    """Write `files`, which stand sorted, as a compressed tar below `folder` (`app`) to `out`.

    No times, no owners of this machine; of rights only whether a file can be run. Raises `ConfigurationError` for a
    file that can't be read or changes meanwhile.
    """
    return pack(_tar(files, folder), out)


def pack(tar: Iterable[bytes], out: BinaryIO) -> Layer:
    """Compress a tar that comes in pieces."""
    packer = _Packer(out)
    for piece in tar:
        packer.write(piece)
    return packer.close()


def _tar(files: Iterable[SourceFile], folder: str) -> Iterator[bytes]:
    """The tar in pieces; folders come before what is in them."""
    yield from (_header(f"{part}/", tarfile.DIRTYPE, 0o755) for part in _parents(f"{folder}/."))
    seen: set[str] = set()
    for file in files:
        for parent in _parents(file.name):
            if parent not in seen:
                seen.add(parent)
                yield _header(f"{folder}/{parent}/", tarfile.DIRTYPE, 0o755)
        name = f"{folder}/{file.name}"
        if file.link:
            yield _header(name, tarfile.SYMTYPE, 0o777, link=file.link)
            continue
        yield _header(name, tarfile.REGTYPE, 0o755 if file.executable else 0o644, file.size)
        yield from _content(file)
        if file.size % 512:
            yield bytes(512 - file.size % 512)
    yield bytes(1024)


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _header(name: str, kind: bytes, mode: int, size: int = 0, link: str = "") -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, size, link
    entry.uid = entry.gid = USER
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(file: SourceFile) -> Iterator[bytes]:
    length = 0
    try:
        source = os.open(file.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # a file object takes as long again
        try:
            while piece := os.read(source, PIECE):
                length += len(piece)
                yield piece
        finally:
            os.close(source)
    except OSError as error:
        raise ConfigurationError(
            f"file {file.path!r} can't be read: {error.strerror}", "mend its rights, or name it in .coreignore"
        ) from error
    if length != file.size:
        raise ConfigurationError(
            f"file {file.path!r} changed while it was read", "run again once it is finished, or name it in .coreignore"
        )


class _Packer:
    """gzip of blocks that threads compress; zlib and hashlib let go of the interpreter's lock."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._cores)
        self._pending: deque[Future[bytes]] = deque()
        self._block: list[bytes] = []
        self._length = self._size = self._total = 0
        self._crc = 0
        self._plain, self._packed = sha256(), sha256()
        self._put(_HEADER)

    def write(self, data: bytes) -> None:
        """Add to the tar."""
        view = memoryview(data)
        while self._length + len(view) >= BLOCK:
            part = view[: BLOCK - self._length]
            self._block.append(bytes(part))
            self._flush()
            view = view[len(part) :]
        if view:
            self._block.append(bytes(view))
            self._length += len(view)

    def close(self) -> Layer:
        """The end; what was written."""
        try:
            if self._length:
                self._flush()
            while self._pending:
                self._put(self._pending.popleft().result())
        finally:
            self._pool.shutdown()
        self._put(b"\x03\x00")  # an empty last block
        self._put((self._crc & 0xFFFFFFFF).to_bytes(4, "little") + (self._total & 0xFFFFFFFF).to_bytes(4, "little"))
        return Layer(f"sha256:{self._plain.hexdigest()}", f"sha256:{self._packed.hexdigest()}", self._size)

    def _flush(self) -> None:
        block = b"".join(self._block)
        self._block, self._length = [], 0
        self._total += len(block)
        self._pending.append(self._pool.submit(_compress, block))
        self._plain.update(block)
        self._crc = zlib.crc32(block, self._crc)
        while len(self._pending) > 2 * self._cores or (self._pending and self._pending[0].done()):
            self._put(self._pending.popleft().result())

    def _put(self, data: bytes) -> None:
        self._out.write(data)
        self._packed.update(data)
        self._size += len(data)


def _compress(block: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
