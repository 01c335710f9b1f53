"""Engines that tests start themselves: a pytest plugin, `pytest -p core.testing.engines`.

Its fixtures are real programs of this machine on free loopback ports: a Docker engine, container registries, AWS. Each
is started when the first test asks for it, shared by all xdist workers, and ended with the session, also by `kill -9`.
A test without its program is skipped, and fails where `CORE_TEST_REQUIRE_ENGINES=1`.
"""

from core.testing.engines.fixtures import (
    aws,
    base_image,
    docker_engine,
    engine,
    engines,
    fault_proxy,
    kubernetes_api,
    missing,
    no_aws,
    oci_registry,
    oci_registry_basic,
    oci_registry_ecr,
    pytest_configure,
    pytest_unconfigure,
)

__all__ = [
    "aws",
    "base_image",
    "docker_engine",
    "engine",
    "engines",
    "fault_proxy",
    "kubernetes_api",
    "missing",
    "no_aws",
    "oci_registry",
    "oci_registry_basic",
    "oci_registry_ecr",
    "pytest_configure",
    "pytest_unconfigure",
]
