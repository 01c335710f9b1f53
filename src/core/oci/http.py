"""HTTP to a registry: bounded, jittered tries again; what it can't do for us said in words that help."""

from __future__ import annotations

import os
import random
import ssl
import sys
import time
from threading import Lock

import urllib3
from urllib3.util import Retry, Timeout

from core.errors import AuthenticationError, InfrastructureError, NotAllowedError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.errors import CoreError

    Answer = urllib3.BaseHTTPResponse

TRIES = 5
"""Times that a request is sent, at most."""
FIRST, LONGEST = 0.2, 10.0
"""Seconds before the second try, and the most before any."""
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be better a moment later."""
_FOLLOW = Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
_FULL = ("no space left", "disk quota", "insufficient storage", "quota exceeded")


class Http:
    """Sends requests, of several threads too; one for each registry that a process talks to."""

    def __init__(self, host: str, *, connect: float = 10, read: float = 60, tries: int = TRIES) -> None:
        """`connect` and `read` are the seconds after which a try is given up."""
        self.host = host
        self.calls = 0
        """Requests that were sent."""
        self.sent = 0
        """Bytes of bodies that were sent."""
        self._counting = Lock()
        self._tries = tries
        self._timeout = Timeout(connect=connect, read=read)
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._proxies: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.clear()

    def ask(self, method: str, url: str, *, again: bool = True, **options: Any) -> Answer:
        """The answer, whatever its status; a body must be bytes. Tries again what may pass, unless not `again`.

        Raises `InfrastructureError` when no answer comes.
        """
        body = options.get("body")
        for attempt in range(1, self._tries + 1):
            last = attempt == self._tries or not again
            with self._counting:
                self.calls += 1
                self.sent += len(body) if body else 0
            try:
                answer = self._pool(url).request(
                    method, url, timeout=self._timeout, retries=_FOLLOW, redirect=method in {"GET", "HEAD"}, **options
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if last or _certificate(error):
                    raise self._unreachable(error) from error
                time.sleep(_delay(attempt))
                continue
            if last or answer.status not in AGAIN or _is_full(answer):
                return answer
            answer.drain_conn()
            time.sleep(_delay(attempt, answer.headers.get("Retry-After", "")))
        raise AssertionError("the last try returns or raises")

    def _pool(self, url: str) -> urllib3.PoolManager:
        """Through the proxy that the environment names for this host, if any."""
        parts = urllib3.util.parse_url(url)
        scheme, host = parts.scheme or "", parts.host or ""
        if (scheme, host) not in self._proxies:
            self._proxies[scheme, host] = _proxy(scheme, host)
        proxy = self._proxies[scheme, host]
        if proxy not in self._pools:
            self._pools[proxy] = urllib3.ProxyManager(proxy, maxsize=4) if proxy else urllib3.PoolManager(maxsize=4)
        return self._pools[proxy]

    def _unreachable(self, error: BaseException) -> CoreError:
        if _certificate(error):
            return InfrastructureError(
                f"registry {self.host!r} shows a certificate that this machine does not trust: {_cause(error)}",
                "set SSL_CERT_FILE to a bundle with its authority; one that speaks plain http wants insecure=true",
            )
        slow = isinstance(_cause(error), urllib3.exceptions.TimeoutError | TimeoutError)
        what = "does not answer in time" if slow else "can't be reached"
        return InfrastructureError(
            f"registry {self.host!r} {what}: {_words(error)}",
            "check that it runs, its name and your network; nothing was recorded",
        )


def _proxy(scheme: str, host: str) -> str:
    """URL of the proxy for requests to `host`; empty where there is none."""
    named = any(name.lower().endswith("_proxy") for name in os.environ)
    if not named and sys.platform not in {"darwin", "win32"}:  # those name some in their settings, too
        return ""
    from urllib.request import getproxies, proxy_bypass  # start-up time: few are behind a proxy

    return "" if proxy_bypass(host) else getproxies().get(scheme, "")


def refusal(host: str, answer: Answer, doing: str) -> CoreError:
    """The error for an answer that is none of those wanted; `doing` says what was tried: `push to HOST/NAME`."""
    said = told(answer)
    text = f"can't {doing}: registry {host!r} answered {answer.status}{f' ({said})' if said else ''}"
    if answer.status == 401:
        from core.oci.auth import LOG_IN  # the hint for all refused logins stands there

        return AuthenticationError(text, LOG_IN)
    if answer.status == 403:
        return NotAllowedError(text, "ask for the right to pull and push there, or log in as somebody who has it")
    if answer.status == 404:
        return NotFoundError(text, "check host, name and tag")
    if answer.status in {413, 507} or _is_full(answer):
        return InfrastructureError(text, "make room in the registry, or send less (`.coreignore`)")
    if answer.status == 429:
        return InfrastructureError(text, "the registry limits how much it is asked: log in, or wait")
    return InfrastructureError(text, "try again later; the registry's own log says more")


def told(answer: Answer) -> str:
    """What the registry says of an error, in one line."""
    try:
        errors = answer.json()["errors"]
        lines = [f"{each.get('code', '')}: {each.get('message', '')} {_detail(each.get('detail'))}" for each in errors]
        return " ".join("; ".join(lines).split())[:300]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _detail(detail: Any) -> str:
    if isinstance(detail, dict):
        detail = detail.get("Err") or detail.get("message") or ""
    return str(detail or "")


def _is_full(answer: Answer) -> bool:
    return answer.status >= 500 and any(word in answer.data.decode(errors="replace").lower() for word in _FULL)


def _delay(attempt: int, wish: str = "") -> float:
    """Seconds to wait after try `attempt`; never longer than `LONGEST`, whatever the registry wishes."""
    if wish.isdecimal():
        return min(float(wish), LONGEST)
    return float(min(LONGEST, FIRST * 2 ** (attempt - 1)) * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads


def _certificate(error: BaseException) -> bool:
    return isinstance(_cause(error), ssl.SSLCertVerificationError)


def _cause(error: BaseException) -> BaseException:
    """What really happened, beneath what the library wraps it in."""
    inner: Callable[[Any], Any] = lambda each: getattr(each, "reason", None) or each.__cause__  # noqa: E731
    while isinstance(error, urllib3.exceptions.HTTPError) and isinstance(inner(error), BaseException):
        error = inner(error)
    return error


def _words(error: BaseException) -> str:
    cause = _cause(error)
    text = getattr(cause, "strerror", None) or str(cause).rpartition(": ")[2] or type(cause).__name__
    return str(text)
