"""Encrypts what must not lie in the clear: AES-256-GCM, each value bound to the place that it stands in.

A token is `core1:<key>:<nonce and ciphertext>`: it says how and with which key it was made, so that both may change.
"""

from __future__ import annotations

import os
from binascii import Error, a2b_base64, b2a_base64

from core.errors import ConfigurationError, CorruptDataError
from core.mask import add_secret
from core.secrets.key import FILE, Key, find, make, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Place = tuple[str, ...]
    """Project, kind, name and key: a token that was moved elsewhere does not open."""

VERSION = "core1"
_NONCE = 12


class Vault:
    """Opens with the key of a home; travels to other processes without it."""

    def __init__(
        self,
        folder: str,
        used: Callable[[], bool] = lambda: False,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`used` tells whether something was encrypted before: then a missing key is an error, not made anew."""
        self.folder = folder
        self._used = used
        self._environment = environment
        self._keys: list[Key] = []

    def encrypt(self, text: str, place: Place) -> str:
        """A token that only this key opens, at this place. The first one makes the key.

        Raises `ConfigurationError` when the key is missing or wrong.
        """
        add_secret(text)
        key = self._writing()
        nonce = os.urandom(_NONCE)
        sealed = nonce + _cipher(key).encrypt(nonce, text.encode("utf-8", "surrogatepass"), _bound(place))
        return f"{VERSION}:{key.id}:{b2a_base64(sealed, newline=False).decode()}"

    def decrypt(self, token: str, place: Place) -> str:
        """What was encrypted, masked from now on.

        Raises `ConfigurationError` when its key is not here, `CorruptDataError` when it was changed or moved.
        """
        version, _, rest = str(token).partition(":")
        key_id, _, body = rest.partition(":")
        if version != VERSION:
            known = version.startswith("core") and version[4:].isdecimal()
            why = "was encrypted by a newer core" if known else "is not encrypted as core does it"
            raise CorruptDataError(f"{_named(place)} {why}", "upgrade core" if known else "set it again")
        key = self._reading(key_id, place)
        from cryptography.exceptions import InvalidTag  # start-up time: only who opens a secret needs it

        try:
            sealed = a2b_base64(body.encode(), strict_mode=True)
            text = _opened(key, sealed, place)
        except (InvalidTag, Error, ValueError):
            raise CorruptDataError(
                f"{_named(place)} does not open: it was changed, or copied from elsewhere", "set it again"
            ) from None
        add_secret(text)
        return text

    def _writing(self) -> Key:
        keys = self._found()
        if not keys:
            if self._used():
                raise ConfigurationError(
                    f"the key of the secrets is missing in {self.folder!r}, and there are secrets already",
                    restore(os.path.join(self.folder, FILE)),
                )
            make(self.folder)
            keys = self._found()
        return keys[0]

    def _reading(self, key_id: str, place: Place) -> Key:
        keys = self._found()
        for key in keys:
            if key.id == key_id:
                return key
        here = f"; here is {', '.join(key.id for key in keys)}" if keys else ""
        raise ConfigurationError(
            f"{_named(place)} is encrypted with key {key_id[:8]!r}, which is missing{here}",
            restore(os.path.join(self.folder, FILE)),
        )

    def _found(self) -> list[Key]:
        self._keys = self._keys or find(self.folder, self._environment)
        return self._keys

    def __getstate__(self) -> dict[str, Any]:
        """The folder alone: the other process finds the key itself."""
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc] # made anew here

    def __repr__(self) -> str:
        """Without the key."""
        return f"Vault({self.folder!r})"


def _opened(key: Key, sealed: bytes, place: Place) -> str:
    data: bytes = _cipher(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(place))
    return data.decode("utf-8", "surrogatepass")


def _cipher(key: Key) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # start-up time: 30 ms

    return AESGCM(key.raw)


def _bound(place: Place) -> bytes:
    return "\0".join(place).encode("utf-8", "surrogatepass")


def _named(place: Place) -> str:
    _, kind, name, key = (*place, "", "", "", "")[:4]
    return f"{key!r} of {kind.replace('_', ' ')} {name!r}"
