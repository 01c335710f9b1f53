"""Container registry: where images are pushed to and pulled from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from core.model.value import Value
from core.ports.component import Component

IDENTITY = "<token>"
"""User name that docker's credential helpers give with an identity token in the place of a password."""


class RegistryLogin(Value):
    """What the registry's token realm, or basic authentication, wants."""

    username: str
    password: str
    """Masked everywhere."""
    expires_at: float | None = None
    """Seconds since 1970; None: it does not expire."""

    def __repr__(self) -> str:
        """Without the password."""
        return f"RegistryLogin({self.username!r}, expires_at={self.expires_at!r})"


class ContainerRegistry(Component, ABC):
    """Tells where images go and how to get in; images themselves go over the OCI distribution API."""

    type: ClassVar[str] = "container_registry"
    uri: str
    """Host, port if any, and path prefix if any, without a scheme: `123456789012.dkr.ecr.eu-west-1.amazonaws.com`."""
    insecure: bool = False
    """Whether it speaks plain http (a registry of this machine does)."""

    @abstractmethod
    def login(self) -> RegistryLogin | None:
        """A login that is good for a few minutes at least; None where the registry wants none.

        Raises `AuthenticationError`, `NotAllowedError`, `InfrastructureError`.
        """

    def repository(self, name: str) -> str:
        """Full reference of the repository `name`, without tag."""
        return f"{self.uri}/{name}"

    def ensure(self, name: str) -> None:
        """Make sure that the repository `name` can be pushed to; most registries make it with the first push."""

    @abstractmethod
    def verify(self) -> None:
        """Ask the registry whether the login is right; raises as `login` does."""
