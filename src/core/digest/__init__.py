"""Content digests: of plain data here, of code in `core.digest.code`."""

from core.digest.canonical import digest_of, pack

__all__ = ["digest_of", "pack"]
