"""What is refused before the first step runs."""

from __future__ import annotations

from typing import Any

import pytest

from core import Resources, pipeline, step
from core.errors import ConfigurationError


@step
def hungry() -> int:
    return 1


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"memory": "16 gigs"}, "step 'hungry': memory '16 gigs' is no size"),
        ({"disk": "lots"}, "step 'hungry': disk 'lots' is no size"),
        ({"cpus": 0}, "step 'hungry': cpus is 0"),
        ({"accelerators": "A100:many"}, "step 'hungry': accelerators 'A100:many' must be kind and count"),
        ({"accelerators": ":1"}, "must be kind and count"),
    ],
)
def test_resources_that_nobody_can_read(resources: dict[str, Any], said: str) -> None:
    @pipeline
    def flow() -> None:
        hungry.with_options(resources=Resources(**resources))()

    with pytest.raises(ConfigurationError) as caught:
        flow()
    assert said in caught.value.message


def test_resources_as_people_write_them() -> None:
    @pipeline
    def flow() -> None:
        hungry.with_options(resources=Resources(cpus=0.5, memory="16GiB", disk="100 GB", accelerators="A100"))()

    assert flow().state == "completed"
