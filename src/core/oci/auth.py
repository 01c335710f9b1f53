"""What a registry wants to know before it answers: basic authentication, or a token of its realm."""

from __future__ import annotations

import re
from base64 import b64encode

from core.errors import AuthenticationError, InfrastructureError
from core.mask import add_secret
from core.ports.container_registry import IDENTITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.ports.container_registry import RegistryLogin

    Ask = Callable[..., Any]

_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Authorization:
    """The `Authorization` header for one repository: found at the registry's first refusal, renewed at a later one."""

    def __init__(self, host: str, login: Callable[[], RegistryLogin | None], scopes: list[str]) -> None:
        self._host, self._login, self.scopes = host, login, scopes
        self.header = ""
        """What to send; empty until the registry asked for it."""

    def renew(self, challenge: str, ask: Ask) -> None:
        """Find `header` anew for a `WWW-Authenticate`; `ask(method, url, ...)` is for the realm.

        Raises `AuthenticationError` where the registry wants a login and there is none, or the realm refuses it.
        """
        scheme = challenge.partition(" ")[0].lower()
        login = self._login()
        if scheme == "bearer":
            self.header = f"Bearer {self._token(dict(_PARAMETER.findall(challenge)), login, ask)}"
        elif login is None:
            raise AuthenticationError(f"registry {self._host} wants a login, and there is none for it", LOG_IN)
        elif scheme == "basic":
            self.header = _basic(login)
        else:
            raise AuthenticationError(
                f"registry {self._host} wants {challenge.partition(' ')[0] or 'an unknown'!r} authentication",
                "core knows basic and token authentication",
            )

    def _token(self, realm: dict[str, str], login: RegistryLogin | None, ask: Ask) -> str:
        fields = [("service", realm["service"])] if realm.get("service") else []
        scopes = [("scope", scope) for scope in (self.scopes or [realm.get("scope", "")]) if scope]
        url = realm.get("realm", "")
        if login is not None and login.username == IDENTITY:
            form = {"grant_type": "refresh_token", "refresh_token": login.password, "client_id": "core"}
            form |= dict(fields) | ({"scope": " ".join(scope for _, scope in scopes)} if scopes else {})
            answer = ask("POST", url, fields=form, encode_multipart=False)
        else:
            headers = {} if login is None else {"Authorization": _basic(login)}
            answer = ask("GET", url, fields=[*fields, *scopes], headers=headers)
        if answer.status in {400, 401, 403}:
            who = "nobody (no login)" if login is None else repr(login.username)
            raise AuthenticationError(f"registry {self._host} does not accept the login of {who}", LOG_IN)
        if answer.status != 200:
            raise InfrastructureError(f"token realm {url!r} of registry {self._host} answered {answer.status}", LATER)
        data = answer.json()
        token = str(data.get("token") or data.get("access_token") or "")
        add_secret(token)
        return token


LOG_IN = (
    "link a service connector to the registry, set its username and password (`{{secret.key}}`), or run `docker login`"
)
LATER = "try again later; `core container-registry describe NAME` shows where it is"


def _basic(login: RegistryLogin) -> str:
    add_secret(login.password)
    return f"Basic {b64encode(f'{login.username}:{login.password}'.encode()).decode()}"
