"""Where the key of the vault comes from: `CORE_SECRETS_KEY`, a file in the home, or the keyring that the file names."""

from __future__ import annotations

import os
import sys
from binascii import Error, a2b_base64
from hashlib import sha256

from core.errors import ConfigurationError
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VARIABLE = "CORE_SECRETS_KEY"
"""Holds the key itself; several with spaces between: the first encrypts, every one decrypts."""
FILE = "secrets.key"
"""In the home: a key a line, or where in the keyring one is."""
SIZE = 32
"""Bytes of a key."""
_IN_KEYRING = "keyring:"
_SERVICE = "core secrets"


class Key(Value):
    """A key, and the name by which what it encrypted finds it again."""

    id: str
    """8 hexadecimal digits of the key's digest: tells keys apart, tells nothing of them."""
    raw: bytes

    def __repr__(self) -> str:
        """Without the key."""
        return f"Key({self.id!r})"


def find(folder: str, environment: Mapping[str, str]) -> list[Key]:
    """The keys that there are, the one that encrypts first; empty where none was made yet.

    Raises `ConfigurationError` for one that others can read, that is no key, or that the keyring does not give.
    """
    if environment.get(VARIABLE):
        return [_key(word, VARIABLE) for word in environment[VARIABLE].split()]
    path = os.path.join(folder, FILE)
    try:
        with open(path, encoding="ascii") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the key of the secrets {path!r} cannot be read: {error}", restore(path)) from error
    if mode & 0o077 and sys.platform != "win32":
        raise ConfigurationError(
            f"the key of the secrets {path!r} can be read by other users (mode {mode & 0o777:o})",
            f"if nobody did, `chmod 600 {path}`; else make new secrets",
        )
    words = text.split()
    if not words:
        raise ConfigurationError(f"the key of the secrets {path!r} is empty", restore(path))
    return [_from_keyring(word, path) if word.startswith(_IN_KEYRING) else _key(word, path) for word in words]


def make(folder: str) -> None:
    """Make a key, in the keyring where one works, else in the file; when another process is faster, its key stays."""
    key = new()
    key_id = _key(key, "a new key").id
    ring = _keyring()
    text = key
    if ring is not None and _keep(ring, key_id, key):
        text = f"{_IN_KEYRING}{key_id}"
    if not _write_new(os.path.join(folder, FILE), f"{text}\n") and text != key:
        _forget(ring, key_id)


def new() -> str:
    """A new key, as it is written: base64 of 32 random bytes."""
    from base64 import urlsafe_b64encode  # start-up time: a home makes one key

    return urlsafe_b64encode(os.urandom(SIZE)).decode()


def restore(path: str) -> str:
    """Hint for a key that is not there."""
    return f"restore {path!r} from a copy, or set {VARIABLE}; without it, make the secrets anew"


def _key(text: str, where: str) -> Key:
    try:
        raw = a2b_base64(text.replace("-", "+").replace("_", "/").encode("ascii"), strict_mode=True)
    except (Error, UnicodeEncodeError):
        raw = b""
    if len(raw) != SIZE:
        raise ConfigurationError(
            f"{where} holds no key of the secrets: expected base64 of {SIZE} bytes, got {len(text)} characters",
            "a new one is `python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'`",
        )
    return Key(sha256(raw).hexdigest()[:8], raw)


def _write_new(path: str, text: str) -> bool:
    """Write a file that only this user may read, whole or not at all; False when another process was faster."""
    folder = os.path.dirname(path)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        os.makedirs(folder, exist_ok=True)
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(number, text.encode())
            os.fsync(number)
        finally:
            os.close(number)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
    except OSError as error:
        raise ConfigurationError(
            f"the key of the secrets {path!r} cannot be made: {error.strerror}", f"set {VARIABLE} to a key instead"
        ) from error
    return True


def _keyring() -> Any:
    """The operating system's keyring where the library is installed and has one that works; else None."""
    try:
        import keyring  # an optional library

        ring = keyring.get_keyring()
        works = ring.priority >= 1
    except Exception:  # noqa: BLE001 - border of an optional library and of what it talks to
        return None
    return ring if works else None


def _keep(ring: Any, key_id: str, key: str) -> bool:
    """Whether the keyring has taken the key: what it gives back is asked for."""
    try:
        ring.set_password(_SERVICE, key_id, key)
        return bool(ring.get_password(_SERVICE, key_id) == key)
    except Exception:  # noqa: BLE001 - the same border
        return False


def _forget(ring: Any, key_id: str) -> None:
    try:
        ring.delete_password(_SERVICE, key_id)
    except Exception:  # noqa: BLE001 - the same border: a key that nothing uses stays there
        return


def _from_keyring(word: str, path: str) -> Key:
    key_id = word.removeprefix(_IN_KEYRING)
    ring, found = _keyring(), None
    try:
        found = ring and ring.get_password(_SERVICE, key_id)
    except Exception as error:  # border of an optional library and of what it talks to
        raise ConfigurationError(
            f"the keyring does not give the key {key_id} of the secrets: {error}", _unlock()
        ) from error
    if not found:
        why = "holds no such key" if ring is not None else "cannot be used here"
        raise ConfigurationError(
            f"key {key_id} of the secrets is in the keyring (says {path!r}), which {why}", _unlock()
        )
    return _key(found, "the keyring")


def _unlock() -> str:
    return f"unlock the keyring and have the library `keyring` installed, or set {VARIABLE}"
