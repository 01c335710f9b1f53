"""Secrets are masked in what core records and shows: values of variables that are named so, and registered ones."""

from __future__ import annotations

import io
import os
from itertools import pairwise
from json.encoder import encode_basestring_ascii as _quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

MASK = "***"
"""What stands in the place of a secret."""
SHORTEST = 6
"""Characters below which a value is not masked: it stands in ordinary words too, and its absence would tell it."""
_ENDINGS = (
    "TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "APIKEY",
)  # fmt: skip
_KEYS = {"API", "ACCESS", "PRIVATE", "SECRET", "AUTH", "ENCRYPTION", "SIGNING", "MASTER", "ACCOUNT", "STORAGE"}
"""A `KEY` after one of these is a secret; any other (`SORT_KEY`) only if its value looks like one."""
_ABOUT = {
    "ARN", "COUNT", "DIR", "ENDPOINT", "EXPIRES", "FILE", "HELPER", "LENGTH", "LIMIT", "NAME", "PATH", "PROVIDER",
    "SIZE", "TIMEOUT", "TTL", "TYPE", "URI", "URL",
}  # fmt: skip
"""Last words of names that tell about a secret, not the secret."""
_SPECIAL = {"BOS", "CLS", "EOS", "MASK", "PAD", "SEP", "UNK"}
"""`PAD_TOKEN` and its like are words of a language model."""
_PLAIN = {"default", "disabled", "enabled", "optional", "prompt", "required"}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Mask:
    """Puts `***` in the place of each of some secrets; nothing of what any of them covers stays."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for line in secret.splitlines() for form in _forms(line.strip())}
        self.needles = sorted(form.encode("utf-8", "surrogatepass") for form in forms)
        """What is looked for: each line of a secret as it is, as URLs write it, and as JSON and `repr` do."""

    def data(self, data: bytes) -> bytes:
        """`data` without secrets."""
        if not any(needle in data for needle in self.needles):
            return data
        parts, at = [], 0
        for start, end in spans(data, self.needles):
            parts += [data[at:start], _MASK]
            at = end
        return b"".join([*parts, data[at:]])

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if not self.needles:
            return text
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def plain(self, data: Any) -> Any:
        """Plain data (what JSON can hold) without secrets in its texts and keys."""
        if not self.needles:
            return data
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, list):
            return [self.plain(item) for item in data]
        return {self.text(k): self.plain(v) for k, v in data.items()} if isinstance(data, dict) else data


class Stream:
    """Masks what arrives in pieces: the end of a piece that may be the beginning of a secret waits for the next one."""

    def __init__(self, mask: Mask | None = None) -> None:
        self._mask = mask
        self._held = b""
        self._covered = 0  # so much of what is held belongs to a secret whose `***` was given already

    def feed(self, data: bytes) -> bytes:
        """What can be said of all that arrived."""
        needles = (self._mask or current()).needles
        if not needles:
            return data
        if self._held:
            data = self._held + data
        return self._given(data, needles, _kept(data, needles))

    def end(self) -> bytes:
        """What is held back: nothing more arrives."""
        data, self._held = self._held, b""
        return self._given(data, (self._mask or current()).needles, len(data))

    def _given(self, data: bytes, needles: list[bytes], keep: int) -> bytes:
        """`data` without secrets up to `keep`; holds the rest."""
        self._held = data[keep:]
        covered, self._covered = self._covered, 0
        if not covered and not any(needle in data for needle in needles):
            return data[:keep] if self._held else data
        parts, at = [], 0
        for start, end in spans(data, needles, covered):
            given = covered > 0 and start == 0
            if start >= keep and not given:
                break  # held whole, and found again
            parts += [data[at:start], b"" if given else _MASK]
            at = end
        self._covered = max(at - keep, 0)
        return b"".join([*parts, data[at:keep]])


class MaskedFile(io.FileIO):
    """A file descriptor that no secret is written to; closing it leaves the descriptor open."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "wb", closefd=False)
        self._mask = Stream()

    def write(self, data: Any, /) -> int:
        """Write all of it that can be no part of a secret."""
        self._put(self._mask.feed(bytes(data)))
        return len(data)

    def end(self) -> None:
        """Write what was held back: nothing more comes. A descriptor that is closed takes nothing."""
        try:
            self._put(self._mask.end())
        except (OSError, ValueError):
            return

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[super().write(left) or 0 :]


_MASK = MASK.encode()


def spans(data: bytes, needles: list[bytes], covered: int = 0) -> Iterator[tuple[int, int]]:
    """Start and end of what the needles cover in `data`, those that overlap as one; the first `covered` bytes are."""
    found = [(0, covered)] if covered else []
    for needle in needles:
        at = data.find(needle)
        while at >= 0:
            found.append((at, at + len(needle)))
            at = data.find(needle, at + 1)
    found.sort()
    start = end = -1
    for first, last in found:
        if first < end:
            end = max(end, last)
            continue
        if end > 0:
            yield start, end
        start, end = first, last
    if end > 0:
        yield start, end


def _kept(data: bytes, needles: list[bytes]) -> int:
    """Where the longest end of `data` begins that may be the beginning of a needle; its length when there is none."""
    least = len(data)
    for needle in needles:
        at = max(len(data) - len(needle) + 1, 0)
        while 0 <= (at := data.find(needle[:1], at)) < least:
            if needle.startswith(data[at:]):
                least = at
            at += 1
    return least


def _forms(secret: str) -> Iterator[str]:
    """A line of a secret as it may be written; nothing when it is too short to be told from a word."""
    if len(secret) < SHORTEST:
        return
    yield secret
    if not _UNRESERVED.issuperset(secret):
        coded = "".join(
            c if c in _UNRESERVED else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogatepass")) for c in secret
        )
        yield coded
        yield coded.replace("%2F", "/")
        yield _quoted(secret)[1:-1]
        yield repr(secret)[1:-1]


class _Known:
    """The secrets of this process. One that was seen stays one: what was printed may be written later."""

    def __init__(self) -> None:
        self.secrets: dict[str, None] = {}
        self.seen: object = None
        self.mask = Mask()

    def learn(self, secrets: Iterable[str]) -> None:
        new = [secret for secret in secrets if secret not in self.secrets]
        if new:
            self.secrets = {**self.secrets, **dict.fromkeys(new)}
            self.mask = Mask(self.secrets)


_known = _Known()


def current() -> Mask:
    """The mask of now: it knows the environment as it is, and all that was a secret before. A microsecond."""
    variables = getattr(os.environ, "_data", os.environ)  # comparing what is behind it spares decoding
    if variables != _known.seen:
        _known.seen = dict(variables)
        learn(os.environ)
    return _known.mask


def learn(environment: Mapping[str, str | None]) -> None:
    """Mask the secrets among these variables from now on."""
    _known.learn(environment_secrets(environment))


def add_secret(value: str) -> None:
    """Mask `value` from now on; shorter than `SHORTEST` it is not masked."""
    _known.learn([value])


def secrets() -> list[str]:
    """All that is masked in this process."""
    current()
    return list(_known.secrets)


def environment_secrets(environment: Mapping[str, str | None]) -> list[str]:
    """Values of variables whose name says that they are secret, and passwords in URLs."""
    found = []
    for name, value in environment.items():
        if value is None or len(value) < SHORTEST or "{{" in value:  # a reference to a secret tells nothing of it
            continue
        if names_secret(name, value):
            found.append(value.strip())
        elif "://" in value and "@" in value:
            found.append(url_password(value))
    return [value for value in found if len(value) >= SHORTEST and value.lower() not in _PLAIN and not _is_path(value)]


def url_password(url: str) -> str:
    """The password in `scheme://user:password@host/path`; empty where there is none."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[0].partition(":")[2]


def names_secret(name: str, value: str) -> bool:
    """Whether a variable of this name holds a secret."""
    words = name.upper().replace("-", "_").split("_")
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _ABOUT or before in _SPECIAL:
        return False
    if any(word.endswith(_ENDINGS) for word in words) or (before and last in {"PASS", "PWD"}):
        return True
    keyed = any(word in _KEYS and after == "KEY" for word, after in pairwise(words))
    return keyed or (bool(before) and last == "KEY" and _random(value))


def _random(value: str) -> bool:
    """Whether it looks as if it was drawn, not written."""
    return len(value) >= 16 and " " not in value and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _is_path(value: str) -> bool:
    """Whether it is the name of a file that is there: where a secret lies, not the secret."""
    return value.startswith((os.sep, "~")) and "\0" not in value and os.path.exists(os.path.expanduser(value))
