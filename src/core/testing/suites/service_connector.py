"""Conformance suite of service connectors: what every type declares, and what each of its auth methods gives.

A plugin's test module needs no more than a subclass whose name starts with `Test`, with the fixture `kind` and what
the methods below ask for. Against an emulator all of it takes seconds.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from core.connectors import Connectors
from core.connectors.checked import checked, method_of
from core.connectors.recipe import Recipe, connector_class
from core.errors import AuthenticationError, CoreError, NotAllowedError, NotFoundError, UsageError
from core.mask import names_secret
from core.secrets import Secrets, Vault
from core.testing.memory import MemoryCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from core.ports.service_connector import ConnectorType, ServiceConnector


class _Registry:
    """Knows one type."""

    def __init__(self, kind: ConnectorType) -> None:
        self._kind = kind

    def connector_type(self, name: str) -> ConnectorType:
        assert name == self._kind.name
        return self._kind


class ServiceConnectorSuite:
    """Subclass it as `Test...`, override the fixture `kind` and the first methods."""

    sdk: tuple[str, ...] = ()
    """Modules that importing the plugin must not import, such as `("boto3", "botocore")`."""

    @pytest.fixture
    def kind(self) -> ConnectorType:
        """The type under test."""
        raise NotImplementedError

    def right(self) -> Mapping[str, Mapping[str, str]]:
        """Auth method to settings with which it gets in; methods that can't be tried are left out."""
        raise NotImplementedError

    def wrong(self) -> Mapping[str, Mapping[str, str]]:
        """Auth method to settings that are complete, and refused by the cloud: a wrong or expired secret."""
        return {}

    def reached(self) -> Mapping[str, str]:
        """Resource type to the id of one that is there; empty for a type with only one."""
        raise NotImplementedError

    def missing(self) -> Mapping[str, str]:
        """Resource type to the id of one that is not there."""
        return {}

    def environment(self) -> Mapping[str, str]:
        """Variables from which a type that can configures itself."""
        return {}

    def connector(self, kind: ConnectorType, method: str, settings: Mapping[str, str]) -> ServiceConnector:
        """One that was checked and built as the command line does it."""
        return connector_class(kind)(method, checked(kind, method_of(kind, method), settings))

    def every(self, kind: ConnectorType) -> Iterator[ServiceConnector]:
        """One of each method that can be tried."""
        for method, settings in self.right().items():
            yield self.connector(kind, method, settings)

    def test_the_type_is_plain_data(self, kind: ConnectorType) -> None:
        """Names that can be typed, one line about each, one meaning a name."""
        assert kind.name
        assert kind.methods
        assert kind.resource_types
        parts: list[Any] = [
            kind,
            *kind.resource_types,
            *kind.methods,
            *(field for each in kind.methods for field in each.fields),
        ]
        for part in parts:
            assert part.doc, f"{part.name} has no doc"
            assert "\n" not in part.doc
        groups: list[Any] = [kind.methods, kind.resource_types, *(method.fields for method in kind.methods)]
        for group in groups:
            names = [each.name for each in group]
            assert len(names) == len(set(names))
        for method in kind.methods:
            for field in method.fields:
                assert field.name.isidentifier(), f"--{field.name} cannot be typed with `_` or `-`"
                tells = not field.name.endswith("_id") and names_secret(field.name, "x" * 20)
                assert field.secret or not tells, f"is {field.name} no secret?"
                assert not field.default or not field.choices or field.default in field.choices
        assert pickle.loads(pickle.dumps(kind)) == kind  # noqa: S301 - made here

    def test_its_class_is_a_connector_of_that_name(self, kind: ConnectorType) -> None:
        assert connector_class(kind).name == kind.name

    def test_importing_the_plugin_imports_no_sdk(self, kind: ConnectorType) -> None:
        if not self.sdk:
            pytest.skip("it has none")
        package = kind.target.partition(":")[0].partition(".")[0]
        code = f"import sys, {package}; print(*sorted(set(sys.modules) & set({self.sdk!r})))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
        assert done.stdout.split() == []

    def test_what_is_missing_or_unknown_is_refused(self, kind: ConnectorType) -> None:
        for method in kind.methods:
            with pytest.raises(UsageError, match="no_such_setting"):
                checked(kind, method, {"no_such_setting": "x"})
            needed = [field.name for field in method.fields if field.required]
            if needed:
                with pytest.raises(UsageError, match=needed[0]):
                    checked(kind, method, {})

    def test_a_machine_s_identity_needs_no_secret(self, kind: ConnectorType) -> None:
        """Where the type knows one, it is a whole connector of the type."""
        for name, settings in self.right().items():
            told = {field.name for field in method_of(kind, name).fields if not field.secret} & settings.keys()
            for method, found in connector_class(kind).machine_identity({key: settings[key] for key in told}):
                secret = {field.name for field in method_of(kind, method).fields if field.secret}
                assert not secret & checked(kind, method_of(kind, method), found).keys()

    def test_it_tells_who_it_is(self, kind: ConnectorType) -> None:
        for connector in self.every(kind):
            assert connector.identity().strip(), connector.method

    def test_wrong_credentials_are_told_from_other_trouble(self, kind: ConnectorType) -> None:
        """`AuthenticationError`, with no secret in it."""
        for name, settings in self.wrong().items():
            connector = self.connector(kind, name, settings)
            with pytest.raises(AuthenticationError) as caught:
                connector.identity()
            self._tells_no_secret(kind, name, settings, caught.value)
            with pytest.raises(NotAllowedError):
                connector.credentials(*next(iter(self.reached().items())))

    def _tells_no_secret(self, kind: ConnectorType, name: str, settings: Mapping[str, str], error: CoreError) -> None:
        for field in method_of(kind, name).fields:
            if field.secret and len(settings.get(field.name, "")) > 5:
                assert settings[field.name] not in str(error)
        assert error.hint

    def test_it_lists_what_it_reaches(self, kind: ConnectorType) -> None:
        """Each id once, through all pages."""
        for connector in self.every(kind):
            for resource_type, resource in self.reached().items():
                ids = list(connector.resources(resource_type))
                assert resource in ids, (connector.method, resource_type)
                assert len(ids) == len(set(ids))

    def test_credentials_are_for_what_was_asked_and_valid(self, kind: ConnectorType) -> None:
        for connector in self.every(kind):
            for resource_type, resource in self.reached().items():
                given = connector.credentials(resource_type, resource)
                assert (given.resource_type, given.resource_id) == (resource_type, resource)
                assert given.values
                assert all(isinstance(value, str) and value for value in given.values.values()), given
                assert given.expires_at is None or given.expires_at > time.time()
                shown = repr(given).replace(resource, "")
                assert not any(value in shown for value in given.values.values() if len(value) > 5)

    def test_what_is_not_there_is_not_found(self, kind: ConnectorType) -> None:
        for connector in self.every(kind):
            for resource_type, resource in self.missing().items():
                with pytest.raises((NotFoundError, NotAllowedError)):
                    connector.credentials(resource_type, resource)

    def test_it_configures_itself(self, kind: ConnectorType) -> None:
        if not kind.auto:
            pytest.skip("it cannot")
        method, settings = connector_class(kind).configured(self.environment())
        assert self.connector(kind, method, settings).identity()
        with pytest.raises(NotFoundError) as caught:
            connector_class(kind).configured({"HOME": "/nonexistent"})
        assert caught.value.hint

    def test_its_secrets_are_kept_encrypted(self, kind: ConnectorType, tmp_path: Path) -> None:
        """What the catalog holds opens nothing, and gives the same connector again."""
        catalog = MemoryCatalog()
        secrets = Secrets(catalog, Vault(str(tmp_path)))
        connectors = Connectors(catalog, secrets, _Registry(kind))  # type: ignore[arg-type]
        for number, (method, settings) in enumerate(self.right().items()):
            draft = connectors.draft(f"c{number}", kind.name, method, settings)
            entry = connectors.register(draft)
            for field in method_of(kind, method).fields:
                if field.secret and settings.get(field.name):
                    assert settings[field.name] not in repr(entry)
            assert connectors.read(f"c{number}") == draft._replace(revision=1)
            give = connectors.credentials(f"c{number}", *next(iter(self.reached().items())))
            assert give() is give()

    def test_it_travels_to_another_process(self, kind: ConnectorType, tmp_path: Path) -> None:
        """Pickled as workers get it: no secret in the clear, and it works on the other side."""
        for method, settings in self.right().items():
            recipe = Recipe(
                "mine", kind, method, checked(kind, method_of(kind, method), settings), Vault(str(tmp_path))
            )
            data = pickle.dumps(recipe)
            for field in method_of(kind, method).fields:
                if field.secret and settings.get(field.name):
                    assert settings[field.name].encode() not in data
            assert pickle.loads(data).build().identity()  # noqa: S301 - made here
