"""Whether an error of a storage is worth another try, and when: bounded, jittered, with a deadline."""

from __future__ import annotations

import asyncio
import errno
import time
from random import uniform

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from typing import Any, TypeVar

    T = TypeVar("T")

BUSY = {408, 425, 429, 500, 502, 503, 504, 509}
"""HTTP statuses of a server that may answer better in a moment."""
_ERRNO = {
    getattr(errno, name)
    for name in ("EAGAIN", "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "EINTR", "ENETDOWN",
                 "ENETRESET", "ENETUNREACH", "EPIPE", "EREMOTEIO", "ETIMEDOUT")
    if hasattr(errno, name)
}  # fmt: skip
_CODES = {
    "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling",
    "ThrottlingException", "TooManyRequests",
}  # fmt: skip
_NAMES = {
    "ClientConnectionError", "ClientConnectorError", "ClientOSError", "ClientPayloadError", "ConnectTimeoutError",
    "ConnectionClosedError", "EndpointConnectionError", "FSTimeoutError", "HTTPClientError", "IncompleteRead",
    "IncompleteReadError", "ReadTimeoutError", "ResponseParserError", "ResponseStreamingError",
    "ServerDisconnectedError", "ServerTimeoutError",
}  # fmt: skip
"""Exception classes of HTTP libraries, by name: none of them is imported here."""
_AWAY = {"ClientConnectorError", "ConnectTimeoutError", "EndpointConnectionError", "ConnectionRefusedError"}


class Patience(Value):
    """How long to try again. The waits double, and each is cut by chance, so that many clients do not come in step."""

    seconds: float = 60.0
    """From the first failure on; 0: one try."""
    first: float = 0.1
    """Longest first wait, seconds."""
    most: float = 8.0
    """Longest wait, seconds, unless the server asks for a longer one."""
    away: float = 15.0
    """As `seconds`, where nobody listens: a wrong address should not take long to be told."""

    def wait(self, error: BaseException, attempt: int, since: float) -> float | None:
        """Seconds to wait after the try number `attempt` (1, 2, ...) failed; None: give up.

        `since` is when it failed first, by `time.monotonic`. A wait that the server asks for is kept to the second.
        """
        if not transient(error):
            return None
        asked = retry_after(error)
        pause = uniform(0.5, 1) * min(self.most, self.first * 2 ** (attempt - 1))  # noqa: S311 - no secret
        pause = pause if asked is None else asked + uniform(0, self.first)  # noqa: S311 - the same
        limit = min(self.seconds, self.away) if nobody_listens(error) else self.seconds
        return pause if time.monotonic() + pause - since <= limit else None

    def call(self, work: Callable[[], T]) -> T:
        """What `work()` gives; it may be called again, so it must do no harm twice."""
        attempt, since = 0, 0.0
        while True:
            try:
                return work()
            except Exception as error:
                attempt, since = attempt + 1, since or time.monotonic()
                pause = self.wait(error, attempt, since)
                if pause is None:
                    raise
            time.sleep(pause)

    async def call_async(self, work: Callable[[], Awaitable[T]]) -> T:
        """As `call`, on an event loop."""
        attempt, since = 0, 0.0
        while True:
            try:
                return await work()
            except Exception as error:
                attempt, since = attempt + 1, since or time.monotonic()
                pause = self.wait(error, attempt, since)
                if pause is None:
                    raise
            await asyncio.sleep(pause)


def transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment: an overloaded server, a connection that broke, a timeout."""
    for one in chain(error):
        status, code = status_of(one), code_of(one)
        if status in BUSY or code in _CODES:
            return True
        if isinstance(one, ConnectionError | TimeoutError) or names(one) & _NAMES:
            return True
        if isinstance(one, OSError) and one.errno in _ERRNO:
            return True
    return False


def nobody_listens(error: BaseException) -> bool:
    """Whether the server was not even there."""
    return any(names(one) & _AWAY for one in chain(error))


def retry_after(error: BaseException) -> float | None:
    """Seconds after which the server wants to be asked again."""
    for one in chain(error):
        text = headers_of(one).get("retry-after", "")
        if text:
            try:
                return max(0.0, float(text))
            except ValueError:
                return _until(text)
    return None


def _until(date: str) -> float | None:
    from email.utils import parsedate_to_datetime  # start-up time: few servers send a date

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what led to it: libraries wrap each other's."""
    seen = 0
    while error is not None and seen < 10:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


def names(error: BaseException) -> set[str]:
    """Names of the error's class and of its bases."""
    return {kind.__name__ for kind in type(error).__mro__}


def _response(error: BaseException) -> Mapping[str, Any]:
    """The `response` that botocore puts on its errors."""
    found = getattr(error, "response", None)
    return found if isinstance(found, dict) else {}


def status_of(error: BaseException) -> int | None:
    """The HTTP status, wherever the library keeps it."""
    told = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    for value in (
        told,
        getattr(error, "status", None),
        getattr(error, "status_code", None),
        getattr(error, "code", None),
    ):
        if isinstance(value, int):
            return value
    return None


def code_of(error: BaseException) -> str:
    """The service's own word for the error, such as `SlowDown`; empty where there is none."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def headers_of(error: BaseException) -> Mapping[str, str]:
    """Headers of the answer, names in lower case."""
    told = _response(error).get("ResponseMetadata", {}).get("HTTPHeaders") or getattr(error, "headers", None) or {}
    return {str(key).lower(): str(value) for key, value in dict(told).items()}
