"""Repositories of a real registry."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from os import getpid
from typing import TYPE_CHECKING

import pytest

from core.oci.reference import parse_reference
from core.oci.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.testing.engines.registry import RegistryServer

NUMBERS = count()


@pytest.fixture
def repository(oci_registry: RegistryServer) -> Iterator[Callable[..., Repository]]:
    """New repositories of the registry that lets everybody in."""
    with ExitStack() as stack:
        yield lambda name="", **options: stack.enter_context(
            Repository(
                parse_reference(f"{oci_registry.host}/test/{name or f'r{getpid()}-{next(NUMBERS)}'}"),
                push=True,
                **options,
            )
        )
