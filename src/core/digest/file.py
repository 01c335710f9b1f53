"""The digest of a file, by as many threads as there are cores."""

from __future__ import annotations

from blake3 import blake3

ALONE = 1 << 20
"""Bytes below which one thread is faster."""
STEP = 32 << 20
"""Bytes that are mapped into memory at a time."""


def hash_file(path: str) -> str:
    """Hex digits of its BLAKE3; raises `OSError`."""
    import mmap  # start-up time: only blobs in files come here
    import os  # start-up time: the same

    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < ALONE:
            return blake3(file.read()).hexdigest()
        # An explicit number of threads: the library's own pool (AUTO) would not survive a fork.
        hasher = blake3(max_threads=min(os.cpu_count() or 1, 8))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole, memoryview(whole) as view:
            for start in range(0, size, STEP):
                with view[start : start + STEP] as window:
                    hasher.update(window)
                if hasattr(whole, "madvise"):
                    whole.madvise(mmap.MADV_DONTNEED, start, min(STEP, size - start))  # keeps memory flat
        return hasher.hexdigest()
