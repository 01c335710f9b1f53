"""Installing: what is there stays as it is; what fails, is refused or killed leaves all as it was before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core import faults
from core.errors import ConflictError, InfrastructureError, MissingDependencyError, NotAllowedError, NotFoundError
from core.integrations.change import install, repair, uninstall
from core.integrations.journal import Journal, pending
from core.integrations.tool import Sources, choose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Place

AWS = "core-plugin-aws==0.1.0"


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.arm("")


def test_a_plugin_comes_with_what_it_wants_and_goes_alone(each: tuple[Place, str]) -> None:
    place, tool = each
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0", "cloud>=2")
    for version in ("1.0", "2.0", "2.1"):
        place.wheel("cloud", version)
    plan = place.install(AWS, tool=tool)
    assert plan is not None
    assert plan.changes == (("cloud", "", "2.1"), ("core-plugin-aws", "", "0.1.0"))
    assert place.has() == {"cloud": "2.1", "core-plugin-aws": "0.1.0"}
    assert place.install(AWS, tool=tool, agree=lambda _: pytest.fail("there is nothing to ask")).changes == ()  # type: ignore[union-attr]
    gone = uninstall(["core-plugin-aws"], place.environment, place.home, lambda _: True, tool=tool)
    assert gone is not None
    assert gone.unneeded == ("cloud",)
    assert place.has() == {"cloud": "2.1"}


def test_what_is_installed_keeps_its_version(place: Place) -> None:
    place.wheel("cloud", "2.0")
    place.add("cloud")
    place.wheel("cloud", "2.1")
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0", "cloud>=2")
    place.install(AWS)
    assert place.has() == {"cloud": "2.0", "core-plugin-aws": "0.1.0"}


def test_a_conflict_is_told_before_anything_changes_and_says_who_wants_what(each: tuple[Place, str]) -> None:
    place, tool = each
    place.wheel("cloud", "1.0")
    place.wheel("theirs", "3.1", "cloud<2")
    place.add("theirs")
    place.wheel("cloud", "2.0")
    place.wheel("between", "1.0", "cloud>=2")
    before = place.files()
    for wants in (("cloud>=2",), ("between",))[tool == "pip" :]:
        place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0", *wants)
        with pytest.raises(ConflictError) as caught:
            place.install(AWS, tool=tool)
        who = "core-plugin-aws 0.1.0" if wants == ("cloud>=2",) else "between 1.0"
        assert f"{who} wants cloud>=2; cloud 1.0 is installed\n    theirs 3.1 wants cloud<2" in caught.value.message
    assert place.files() == before


def test_a_plugin_of_another_core_is_refused(place: Place) -> None:
    place.wheel("core-plugin-aws", "0.1.0", "core==0.2.0")
    place.wheel("core", "0.2.0")
    with pytest.raises(ConflictError, match=r"wants core==0.2.0; core 0.1.0 is installed"):
        place.install(AWS)


def test_a_decoy_of_a_higher_version_is_not_taken(place: Place, tmp_path: Path) -> None:
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0", "core-plugin-vms==0.1.0")
    place.wheel("core-plugin-vms", "0.1.0", "core==0.1.0")
    decoys = place._replace(wheels=tmp_path / "decoys")
    for name in ("core", "core-plugin-aws", "core-plugin-vms"):
        decoys.wheel(name, "9.9")
    sources = Sources((str(place.wheels), str(decoys.wheels)), no_index=True)
    install([AWS], place.environment, place.home, lambda _: True, sources=sources, say=lambda _: None)
    assert place.has() == {"core-plugin-aws": "0.1.0", "core-plugin-vms": "0.1.0"}


def test_our_names_are_never_looked_up_by_accident(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.integrations import own

    monkeypatch.setattr(own, "checkout", lambda: "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(NotFoundError, match="the public index is not asked for it"):
        install([AWS], place.environment, place.home, lambda _: True, say=lambda _: None)
    place.wheel("core-plugin-aws", "9.9")
    with pytest.raises(NotFoundError, match=r"no wheel of core-plugin-aws 0.1.0 in .*wheels'; it has 9.9"):
        place.install(AWS)


def test_a_failed_install_puts_back_every_file(each: tuple[Place, str]) -> None:
    place, tool = each
    place.wheel("core-plugin-aws", "0.0.9", "core==0.1.0", "cloud", files={"core_plugin_aws/__init__.py": "OLD = 1\n"})
    place.wheel("cloud", "1.0")
    place.add("core-plugin-aws")
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0", "cloud", "late")
    place.wheel("late", "1.0", files={"late/deep/inside.py": "", "core_extra.py": ""})
    (place.site / "late").write_text("a file where a folder must be")
    before = place.files()
    with pytest.raises(InfrastructureError, match="all is as it was before"):
        place.install(AWS, tool=tool)
    assert place.files() == before
    assert pending(place.home, place.environment.prefix) == []


def test_a_wheel_that_breaks_is_found_before_anything_changes(place: Place) -> None:
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0", "late")
    late = place.wheel("late", "1.0", files={"late.py": "x" * 9999})
    late.write_bytes(late.read_bytes().replace(b"x" * 99, b"y" * 99))
    before = place.files()
    with pytest.raises(InfrastructureError, match="nothing was changed"):
        place.install(AWS)
    assert place.files() == before


@pytest.mark.parametrize("point", ["integration.noted", "integration.changed"])
def test_an_interrupted_change_is_told_of_and_repaired(
    place: Place, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.integrations import change

    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0", "late")
    place.wheel("late", "1.0", files={"late/inside.py": "", "shared/x.py": ""})
    (place.site / "shared").mkdir()
    before = place.files()
    faults.arm(f"{point}=raise:KeyboardInterrupt")
    monkeypatch.setattr(change, "_put_back", lambda _: None)  # as if killed: nobody tidies up
    with pytest.raises(KeyboardInterrupt):
        place.install(AWS)
    monkeypatch.undo()
    if point == "integration.changed":
        (place.site / "late-1.0.dist-info" / "RECORD").unlink()  # the tool had not come to it
        assert place.files() != before
    (told,) = pending(place.home, place.environment.prefix)
    assert (told.at_work, told.repair) == (False, "core integration repair")
    with pytest.raises(ConflictError, match="was interrupted"):
        Journal(place.home, place.environment).alone().__enter__()
    assert repair(place.environment, place.home) == "core integration install"
    assert place.files() == before
    assert repair(place.environment, place.home) == ""


def test_who_says_no_changes_nothing(place: Place) -> None:
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0")
    before = place.files()
    assert place.install(AWS, agree=lambda _: False) is None
    assert place.files() == before


def test_what_others_want_is_not_uninstalled(place: Place) -> None:
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0")
    place.wheel("core-plugin-vms", "0.1.0", "core-plugin-aws==0.1.0")
    place.add("core-plugin-vms")
    with pytest.raises(ConflictError, match=r"core-plugin-vms 0.1.0 wants core-plugin-aws==0.1.0"):
        uninstall(["core-plugin-aws"], place.environment, place.home, lambda _: True)


def test_an_index_that_does_not_answer_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0", "cloud")
    for name, value in {
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "UV_HTTP_RETRIES": "0",
        "PIP_EXTRA_INDEX_URL": "",
    }.items():
        monkeypatch.setenv(name, value)
    sources = Sources((str(place.wheels),))
    with pytest.raises((InfrastructureError, NotFoundError), match="nothing was changed"):
        install([AWS], place.environment, place.home, lambda _: True, sources=sources, say=lambda _: None)


def test_two_do_not_change_one_environment(place: Place) -> None:
    place.wheel("core-plugin-aws", "0.1.0", "core==0.1.0")
    with Journal(place.home, place.environment).alone(), pytest.raises(ConflictError, match="another command"):
        place.install(AWS)


def test_an_environment_that_is_not_ours_to_change_is_refused(place: Place) -> None:
    managed = place.environment._replace(managed="/usr/lib/python3/EXTERNALLY-MANAGED")
    with pytest.raises(NotAllowedError, match="belongs to the operating system"):
        install([AWS], managed, place.home, lambda _: True)
    for odd in ({"folders": ("/proc/1",)}, {"scripts": "/proc/1"}):
        with pytest.raises(NotAllowedError, match="'/proc/1' cannot be written"):
            install([AWS], place.environment._replace(**odd), place.home, lambda _: True)


def test_without_uv_and_pip_it_says_how_to_get_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDependencyError, match="there is no pip") as caught:
        choose(place.environment, Sources(), "", "pip")
    assert "python -m ensurepip" in caught.value.hint
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match="no uv and no pip"):
        choose(place.environment, Sources(), "")


def test_an_index_of_ones_own_is_the_one_that_is_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    using = choose(place.environment, Sources(), str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert using.index() == ""
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://beside.invalid/simple")
    assert using.index() == ""
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://mine.invalid/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert using.index() == using._variables()["UV_DEFAULT_INDEX"] == "http://mine.invalid/simple"
    monkeypatch.setenv("UV_INDEX", "http://first.invalid/simple")
    assert using.index() == "http://first.invalid/simple"
    assert "UV_DEFAULT_INDEX" not in using._variables()
