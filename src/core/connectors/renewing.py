"""Credentials of one resource that are always valid: renewed at 80 % of their life, by one caller for all.

Each process that uses them renews its own. Those that got them from another process do it a little earlier, each at
another time, so that the workers of a run do not all ask at once.
"""

from __future__ import annotations

import os
import random
import threading
import time

from core.connectors.asking import asked
from core.errors import CoreError, InfrastructureError
from core.mask import add_secret
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.connectors.recipe import Recipe
    from core.ports.service_connector import Credentials, ServiceConnector

LIFE = 0.8
"""Share of their life after which credentials are renewed."""
EARLY = 0.1
"""Share of it by which another process than the first may be earlier."""
TRIES = 4
"""Times that the cloud is asked when there are none that are valid."""
PAUSE = 0.2
"""Seconds after the first failure, on average; twice as many after each further one."""
LONGEST = 30.0
"""Seconds between two tries at most, while the old ones are valid."""
PATIENCE = 10.0
"""Seconds that callers wait for the one who renews before they go on with old ones that are valid."""


class _Failure(Value):
    """What the last asking ended with."""

    round: int
    error: CoreError


class Renewing:
    """Call it whenever credentials are needed; may be called by many threads, and travels to other processes."""

    def __init__(
        self,
        recipe: Recipe,
        resource_type: str,
        resource_id: str,
        connector: Callable[[], ServiceConnector] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`connector` gives one that others share; by default it is made by `recipe` when it is first needed."""
        self.recipe = recipe
        self.resource_type = resource_type
        self.resource_id = resource_id
        self._clock = clock
        self._early = 0.0
        self._held: Credentials | None = None
        self._began = 0.0  # when what is held began to live
        self._begin(connector or recipe.build)

    def _begin(self, connector: Callable[[], ServiceConnector]) -> None:
        """What belongs to this process alone; credentials that are held stay."""
        self._process = os.getpid()
        self._connector = connector
        self._lock = threading.Lock()
        self._round = 0
        self._failure: _Failure | None = None
        self._renew_at = 0.0 if self._held is None else self._due(self._held, self._began)

    def __call__(self) -> Credentials:
        """Credentials that are valid now.

        Raises what `ServiceConnector.credentials` raises when there are none, the cloud's failures after `TRIES`.
        """
        held = self._held
        if held is not None and self._process == os.getpid() and self._clock() < self._renew_at:
            return held
        return self._renewed()

    def _renewed(self) -> Credentials:
        if self._process != os.getpid():  # a fork: its lock may be held by nobody, its connections are another's
            self._early = random.uniform(0, EARLY)  # noqa: S311 - spreads, hides nothing
            self._begin(self.recipe.build)
            return self()
        seen, held = self._round, self._held
        left = -1.0 if held is None else _left(held, self._clock())
        if not self._lock.acquire(timeout=min(left, PATIENCE) if left > 0 else -1):
            return held if held is not None and _left(held, self._clock()) > 0 else self._renewed()
        try:
            if self._held is not None and self._clock() < self._renew_at:
                return self._held
            if self._failure is not None and self._round != seen and self._failure.round == self._round:
                error = self._failure.error  # another caller has just tried, while this one waited
                raise type(error)(error.message, error.hint)
            return self._ask()
        finally:
            self._lock.release()

    def _ask(self) -> Credentials:
        """New credentials; old ones that are valid when the cloud does not give any."""
        for number in range(TRIES):
            pause = PAUSE * 2**number * random.uniform(0.5, 1.5)  # noqa: S311 - spreads, hides nothing
            began, held = self._clock(), self._held
            try:
                new = self._given(began)
            except CoreError as error:
                left = -1.0 if held is None else _left(held, self._clock())
                if held is not None and left > 0:
                    self._renew_at = self._clock() + min(left, LONGEST, max(pause, left / 4))
                    return held
                self._held = None
                if number + 1 == TRIES or not isinstance(error, InfrastructureError):
                    self._round += 1
                    self._failure = _Failure(self._round, error)
                    raise
                time.sleep(pause)
            else:
                self._round += 1
                self._failure = None
                self._held, self._began, self._renew_at = new, began, self._due(new, began)
                return new
        raise AssertionError  # the last try returns or raises

    def _given(self, began: float) -> Credentials:
        connector = self._connector()
        with asked(self.recipe.name, self.recipe.kind.name):
            new = connector.credentials(self.resource_type, self.resource_id)
            for value in new.secrets():
                add_secret(value)
        if new.expires_at is not None and new.expires_at <= began:
            ago = began - new.expires_at
            raise InfrastructureError(
                f"service connector {self.recipe.name!r} gave credentials that ended {ago:.0f} s ago",
                "is the clock of this machine right?",
            )
        return new

    def _due(self, credentials: Credentials, began: float) -> float:
        """When to renew."""
        if credentials.expires_at is None:
            return float("inf")
        return began + (LIFE - self._early) * (credentials.expires_at - began)

    def to_data(self) -> dict[str, Any]:
        """What it opens and by which connector, as plain data without anything secret."""
        recipe = self.recipe
        fields = next((one.fields for one in recipe.kind.methods if one.name == recipe.method), ())
        open_to_all = {field.name for field in fields if not field.secret}
        return {
            "name": recipe.name,
            "type": recipe.kind.name,
            "settings": {key: value for key, value in recipe.settings.items() if key in open_to_all},
            "resource_type": self.resource_type,
            "resource_id": self.resource_id,
        }

    def __getstate__(self) -> dict[str, Any]:
        """How to get credentials; not the credentials."""
        return {"recipe": self.recipe, "resource_type": self.resource_type, "resource_id": self.resource_id}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc] # made anew here
        self._early = random.uniform(0, EARLY)  # noqa: S311 - spreads, hides nothing

    def __repr__(self) -> str:
        """Without anything secret."""
        return f"<credentials of service connector {self.recipe.name!r} for {self.resource_id or self.resource_type}>"


def _left(credentials: Credentials, now: float) -> float:
    """Seconds that they are valid."""
    return float("inf") if credentials.expires_at is None else credentials.expires_at - now
