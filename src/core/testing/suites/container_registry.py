"""Conformance suite of container registries: what the class declares, its logins, and images that go there and back.

A plugin's test module needs no more than a subclass whose name starts with `Test`, with the fixture `registry`, and
`refused` and `away` where there can be such.
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from core.errors import InfrastructureError, NotAllowedError
from core.mask import MASK, current
from core.names import locate
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.ports.service_connector import Credentials
from core.testing.tiny_image import push_tiny_image

if TYPE_CHECKING:
    from core.ports.container_registry import ContainerRegistry

SOON = 60.0
"""Seconds that a login must still live when it is given out."""


class ContainerRegistrySuite:
    """Subclass it as `Test...` and override the fixture `registry`; the two others where there can be such."""

    sdk: tuple[str, ...] = ()
    """Modules that importing the component must not import, such as `("boto3", "botocore")`."""

    @pytest.fixture
    def registry(self) -> ContainerRegistry:
        """A registry that runs, with a login that may push; new for each test."""
        raise NotImplementedError

    @pytest.fixture
    def refused(self) -> ContainerRegistry:
        """The same registry with a login that is wrong or has expired."""
        pytest.skip("it lets everybody in")

    @pytest.fixture
    def away(self) -> ContainerRegistry:
        """A registry of the flavor at an address where nobody listens."""
        pytest.skip("there is none")

    def opened(self, registry: ContainerRegistry, name: str) -> Repository:
        """The repository `name`, as image builders open it."""
        reference = parse_reference(registry.repository(name))
        return Repository(reference, registry.login, insecure=registry.insecure, push=True)

    def push(self, registry: ContainerRegistry, name: str) -> str:
        """Push a small image to the repository `name`, made sure of before; gives its digest."""
        registry.ensure(name)
        with self.opened(registry, name) as repository:
            return push_tiny_image(repository, "v1")

    def test_declares_what_it_is(self, registry: ContainerRegistry) -> None:
        """Type, flavor, and an address that references of images begin with."""
        assert registry.type == "container_registry"
        assert registry.flavor
        assert "://" not in registry.uri
        assert not registry.uri.endswith("/")
        assert isinstance(registry.insecure, bool)
        reference = parse_reference(registry.repository("team/app"))
        assert str(reference) == f"{registry.uri}/team/app"
        assert reference.host == registry.uri.partition("/")[0]
        assert not registry.resource_type or registry.resource_id()

    def test_settings_say_what_they_are(self, registry: ContainerRegistry) -> None:
        """One line about each; what is unknown is refused."""
        made = type(registry).Settings
        model = locate(made) if isinstance(made, str) else made
        if model is None:
            pytest.skip("there is nothing to set")
        for name, field in model.model_fields.items():
            assert field.description, f"{name} has no description"
        assert model.model_config.get("extra") == "forbid"

    def test_importing_it_imports_no_sdk(self, registry: ContainerRegistry) -> None:
        if not self.sdk:
            pytest.skip("it has none")
        code = f"import sys, {type(registry).__module__}; print(*sorted(set(sys.modules) & set({self.sdk!r})))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
        assert done.stdout.split() == []

    def test_a_login_is_whole_and_lives_a_while(self, registry: ContainerRegistry) -> None:
        """Each time it is asked for; None where everybody may come in."""
        for _ in range(2):
            login = registry.login()
            if login is None:
                pytest.skip("it lets everybody in")
            assert login.username
            assert login.password
            assert login.expires_at is None or login.expires_at > time.time() + SOON
            assert login.password not in repr(login)
            assert login.password not in repr(registry)

    def test_verify_asks_the_registry(self, registry: ContainerRegistry) -> None:
        registry.verify()

    def test_verify_tells_a_wrong_login(self, refused: ContainerRegistry) -> None:
        """It says what to do, and not the password."""
        with pytest.raises(NotAllowedError) as caught:
            refused.verify()
        assert caught.value.hint
        login = refused.login()
        assert login is None or login.password not in str(caught.value)

    def test_a_wrong_login_pushes_nothing(self, refused: ContainerRegistry) -> None:
        name = f"core-{uuid4().hex[:12]}"
        with self.opened(refused, name) as repository, pytest.raises(NotAllowedError) as caught:
            push_tiny_image(repository, "v1")
        assert caught.value.hint

    def test_verify_tells_that_nobody_listens(self, away: ContainerRegistry) -> None:
        """Soon: a person waits."""
        began = time.monotonic()
        with pytest.raises(InfrastructureError) as caught:
            away.verify()
        assert caught.value.hint
        assert time.monotonic() - began < 20

    @pytest.mark.parametrize("name", ["core-{}", "core/{}", "core/a/b-c_d/{}"])
    def test_an_image_goes_there_and_comes_back(self, registry: ContainerRegistry, name: str) -> None:
        """To a repository that was not there, by tag and by digest, with a password that is masked from then on."""
        name = name.format(uuid4().hex[:12])
        digest = self.push(registry, name)
        with self.opened(registry, name) as repository:
            assert repository.head("v1") == repository.head(digest) == digest
            assert repository.head("v2") == ""
            layer = repository.manifest(digest).layers[0]
            assert len(b"".join(repository.stream(layer))) == layer.size
        login = registry.login()
        assert login is None or current().text(login.password) == MASK

    def test_a_repository_is_made_sure_of_many_times(self, registry: ContainerRegistry) -> None:
        """By many at once, and when it holds images."""
        name = f"core-{uuid4().hex[:12]}"
        with ThreadPoolExecutor(4) as crowd:
            list(crowd.map(registry.ensure, [name] * 4))
        assert self.push(registry, name) == self.push(registry, name)

    def test_a_linked_connector_gives_each_login(self, registry: ContainerRegistry) -> None:
        """Asked for anew each time, so that it can be renewed."""
        if registry.resource_type != "docker-registry":
            pytest.skip("it takes none")
        asked: list[str] = []

        def give() -> Credentials:
            asked.append(f"password-{len(asked)}")
            values = {"server": registry.uri, "username": "somebody", "password": asked[-1]}
            return Credentials("docker-registry", registry.resource_id(), values, 4e9)

        registry.credentials = give
        logins = [registry.login() for _ in range(2)]
        assert [tuple(login or ()) for login in logins] == [("somebody", word, 4e9) for word in asked]
        assert len(asked) == 2
