"""How long a failed step waits for its next try."""

from __future__ import annotations

import time

import pytest

from core import Client, Retry, pipeline, step
from core.schedule.retry import LONGEST, delay


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        (Retry(delay=0.5, backoff=3.0, jitter=0), [0.5, 1.5, 4.5, 13.5]),
        (Retry(delay=4, backoff=0.5, jitter=0), [4, 2, 1, 0.5]),
        (Retry(delay=2, backoff=1, jitter=0), [2, 2, 2, 2]),
        (Retry(delay=2, backoff=0, jitter=0), [2, 0, 0, 0]),
        (Retry(delay=0, jitter=1), [0, 0, 0, 0]),
    ],
)
def test_the_delay_grows_by_its_factor_from_try_to_try(retry: Retry, waits: list[float]) -> None:
    assert [delay(retry, failed) for failed in (1, 2, 3, 4)] == waits


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_jitter_is_drawn_anew_on_both_sides_and_within_its_share(share: float) -> None:
    drawn = [delay(Retry(delay=3, backoff=2, jitter=share), 2) for _ in range(300)]
    assert 6 * (1 - share) <= min(drawn) < 6 * (1 - share / 2)
    assert 6 * (1 + share / 2) < max(drawn) <= 6 * (1 + share)


def test_what_grows_without_end_is_a_number_still() -> None:
    for failed in (100, 1100, 10**6):
        assert delay(Retry(delay=1, jitter=0), failed) == LONGEST
        assert delay(Retry(delay=0), failed) == 0


def test_the_next_try_begins_when_the_delay_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    began = []

    @step(cache=False, retry=Retry(attempts=3, delay=0.1, backoff=3, jitter=0))
    def shaky() -> int:
        began.append(time.monotonic())
        if len(began) < 3:
            raise ValueError("not yet")
        return len(began)

    @pipeline
    def flow() -> None:
        shaky()

    run = flow()
    assert began[1] - began[0] >= 0.1
    assert began[2] - began[1] >= 0.3
    events = Client().workspace.tracking.events(run.id, "shaky")
    told = [event.data["retry"] for event in events if event.data.get("retry")]
    assert told == [
        {"seconds": 0.1, "reason": "attempt 2 of 3 after ValueError"},
        {"seconds": 0.3, "reason": "attempt 3 of 3 after ValueError"},
    ]
