"""Conformance suites, one per port: subclass one in a test module, say how to make yours, and pytest runs it."""

import pytest

# So that a failing assert shows its values, as in a test module.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{suite}"
        for suite in (
            "artifact_store",
            "catalog",
            "container_registry",
            "leases",
            "materializer",
            "orchestrator",
            "service_connector",
            "tracking_store",
        )
    )
)
