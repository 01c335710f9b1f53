"""Credentials are renewed at 80 % of their life, by one caller for all; failures of the cloud are ridden out."""

from __future__ import annotations

import os
import pickle
import threading
import time
from typing import TYPE_CHECKING

import pytest

from core.connectors import renewing
from core.connectors.recipe import Recipe
from core.connectors.renewing import Renewing
from core.errors import AuthenticationError, InfrastructureError
from core.mask import current
from core.secrets import Vault
from core.testing import service_connector
from core.testing.memory import ManualClock
from core.testing.service_connector import MEMORY, Cloud

if TYPE_CHECKING:
    from pathlib import Path

AWAY = "the cloud is away"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud()
    cloud.clock = ManualClock()
    monkeypatch.setattr(service_connector, "CLOUD", cloud)
    monkeypatch.setattr(renewing, "PAUSE", 0.001)
    return cloud


@pytest.fixture
def give(cloud: Cloud, tmp_path: Path) -> Renewing:
    recipe = Recipe("c", MEMORY, "role", {"role": "reader", "life": "100"}, Vault(str(tmp_path)))
    return Renewing(recipe, "memory-bucket", "mem://one", clock=cloud.clock)


def test_renewed_at_four_fifths_of_their_life(give: Renewing, cloud: Cloud) -> None:
    first = give()
    cloud.clock.advance(79.9)
    assert give() is first
    cloud.clock.advance(0.2)
    second = give()
    assert second is not first
    assert give() is second
    assert cloud.calls == ["credentials", "credentials"]


def test_what_does_not_end_is_never_renewed(cloud: Cloud, tmp_path: Path) -> None:
    give = Renewing(
        Recipe("c", MEMORY, "role", {"role": "reader"}, Vault(str(tmp_path))), "memory-generic", "", clock=cloud.clock
    )
    first = give()
    cloud.clock.advance(10**9)
    assert give() is first


@pytest.mark.parametrize("before", [0, 1])
def test_one_caller_renews_while_others_wait(give: Renewing, cloud: Cloud, before: int) -> None:
    if before:
        give()
        cloud.clock.advance(85)
    cloud.delay = 0.05
    got = []
    threads = [threading.Thread(target=lambda: got.append(give())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in got}) == 1
    assert len(got) == 8
    assert cloud.calls.count("credentials") == 1 + before


def test_a_failure_is_shared_by_those_who_waited(give: Renewing, cloud: Cloud) -> None:
    cloud.delay = 0.02
    cloud.failures = [InfrastructureError(AWAY) for _ in range(renewing.TRIES)]
    raised = []

    def ask() -> None:
        try:
            give()
        except InfrastructureError as error:
            raised.append(error)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(raised) == 5
    assert len(cloud.calls) == renewing.TRIES
    give()


def test_old_ones_are_used_while_they_are_valid(give: Renewing, cloud: Cloud) -> None:
    first = give()
    cloud.clock.advance(81)
    cloud.failures = [InfrastructureError(AWAY), AuthenticationError("revoked"), InfrastructureError(AWAY)]
    assert give() is first
    assert give() is first, "the next try comes later"
    assert len(cloud.calls) == 2
    cloud.clock.advance(5)
    assert give() is first
    cloud.clock.advance(14)
    assert give() is not first, "they have ended: it tries again at once"
    assert len(cloud.calls) == 5


def test_wrong_credentials_are_not_tried_again(give: Renewing, cloud: Cloud) -> None:
    cloud.failures = [AuthenticationError("wrong")]
    with pytest.raises(AuthenticationError):
        give()
    assert len(cloud.calls) == 1


def test_tries_are_bounded(give: Renewing, cloud: Cloud) -> None:
    cloud.failures = [InfrastructureError(AWAY) for _ in range(10)]
    with pytest.raises(InfrastructureError, match=AWAY):
        give()
    assert len(cloud.calls) == renewing.TRIES


def test_a_hanging_cloud_holds_nobody_who_has_valid_ones(
    give: Renewing, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "PATIENCE", 0.01)
    first = give()
    cloud.clock.advance(85)
    cloud.delay = 0.3
    thread = threading.Thread(target=give)
    thread.start()
    while len(cloud.calls) < 2:
        time.sleep(0.001)
    assert give() is first
    thread.join()


def test_credentials_that_have_ended_already_are_refused(give: Renewing, cloud: Cloud) -> None:
    cloud.clock = ManualClock(cloud.clock.now - 200)
    with pytest.raises(InfrastructureError, match="clock of this machine"):
        give()


def test_what_the_cloud_gives_is_masked(give: Renewing) -> None:
    password = give().values["password"]
    assert password not in current().text(f"it is {password}!")


def test_a_fork_keeps_what_is_valid_and_then_renews_its_own(give: Renewing, cloud: Cloud) -> None:
    first = give()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        same = give() is first
        cloud.clock.advance(81)
        os.write(writer, bytes([same, give() is not first, cloud.calls.count("credentials")]))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 3) == bytes([True, True, 2])
    assert give() is first


def test_a_fork_does_not_begin_their_life_anew(give: Renewing, cloud: Cloud) -> None:
    first = give()
    cloud.clock.advance(69)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        same = give() is first
        cloud.clock.advance(11.5)
        os.write(writer, bytes([same, give() is not first]))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 2) == bytes([True, True])


def test_who_waits_is_never_given_what_has_ended(give: Renewing, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "PATIENCE", 0.02)
    first = give()
    cloud.clock.advance(85)
    cloud.delay = 0.2
    thread = threading.Thread(target=give)
    thread.start()
    while len(cloud.calls) < 2:
        time.sleep(0.001)
    got: list[object] = []
    waiter = threading.Thread(target=lambda: got.append(give()))
    waiter.start()
    cloud.clock.advance(20)  # it ends while both wait
    waiter.join()
    thread.join()
    assert got[0] is not first
    assert len(cloud.calls) == 2


def test_a_pickle_holds_no_secret(cloud: Cloud, tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    give = Renewing(Recipe("c", MEMORY, "password", {"password": "open sesame"}, vault), "memory-generic", "")
    token = give().values["password"]
    data = pickle.dumps(give)
    assert b"open sesame" not in data
    assert token.encode() not in data
    assert pickle.loads(data)().values["password"] != token  # noqa: S301 - made above
