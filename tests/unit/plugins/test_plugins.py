"""Plugins: found, loaded one at a time, asked; a broken one is named and the rest works."""

from __future__ import annotations

import sys
from fractions import Fraction
from textwrap import dedent

import pluggy
import pytest

from core.errors import NotFoundError, PluginError
from core.plugins import Flavor, hookimpl
from core.plugins.registry import Registry
from core.ports.component import Component
from core.ports.observer import Observer
from core.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Install = Callable[..., None]

OFFERS = """
    from core.plugins import Flavor, hookimpl
    from core.ports.component import Component

    class Thing(Component):
        type = "thing"
        flavor = "one"

    @hookimpl
    def core_flavors():
        return [Flavor("thing", "one", __name__ + ":Thing", "A thing.")]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one plugin into a folder of `sys.path`, as an installer would."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def put(name: str, source: str, entry: str = "{name} = {name}") -> None:
        (site / f"{name}.py").write_text(dedent(source))
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[core.plugins]\n{entry.format(name=name)}\n")

    yield put
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]


def broken(registry: Registry) -> dict[str, str]:
    return {info.name: info.error for info in registry.plugins() if info.state == "broken"}


def test_a_plugin_gives_its_flavor(install: Install) -> None:
    install("myplugin", OFFERS)
    registry = Registry()
    assert issubclass(registry.flavor("thing", "one"), Component)
    assert [flavor.name for flavor in registry.flavors("thing")] == ["one"]
    assert ("myplugin", "myplugin 1.0", "loaded", ("core_flavors",), "") in registry.plugins()


def test_built_ins_come_without_any_plugin() -> None:
    registry = Registry()
    assert registry.flavor("orchestrator", "local").flavor == "local"
    assert {"artifact_store", "orchestrator"} <= {flavor.type for flavor in registry.flavors()}


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def f(:", "SyntaxError"),
        (
            "from core.plugins import hookimpl\n@hookimpl\ndef core_flavours(): return []",
            "implements core_flavours, which this version of core does not have; it has core_connectors, core_flavors,",
        ),
        ("from core.plugins import hookimpl\n@hookimpl\ndef core_flavors(extra): return []", "PluginValidationError"),
        (
            "from core.plugins import hookimpl\n@hookimpl\ndef core_flavors(): 1 / 0",
            "core_flavors raised ZeroDivisionError",
        ),
        ("from core.plugins import hookimpl\n@hookimpl\ndef core_flavors(): return ['s3']", "'s3', which is no Flavor"),
        (
            "from core.plugins import hookimpl\n@hookimpl\ndef core_materializers(): return [3]",
            "3, which is no materializer",
        ),
    ],
)
def test_a_broken_plugin_is_named_and_the_rest_works(install: Install, source: str, error: str) -> None:
    install("abad", source)
    install("zgood", OFFERS)
    registry = Registry()
    assert registry.flavor("thing", "one").__module__ == "zgood"
    assert error in broken(registry)["abad"]
    assert "zgood" not in broken(registry)


def test_an_optional_hook_of_another_version_is_fine(install: Install) -> None:
    install("newer", "from core.plugins import hookimpl\n@hookimpl(optionalhook=True)\ndef core_future(): return []")
    assert broken(Registry()) == {}


def test_two_claims_on_one_flavor_are_told_when_it_is_asked_for(install: Install) -> None:
    install("first", OFFERS)
    install("second", OFFERS)
    registry = Registry()
    assert registry.flavor("orchestrator", "local")
    with pytest.raises(PluginError, match=r"claimed by second 1\.0 and by first 1\.0"):
        registry.flavor("thing", "one")


def test_a_claim_on_a_built_in_flavor_is_told(install: Install) -> None:
    install("taker", OFFERS.replace('"thing"', '"orchestrator"').replace('"one"', '"local"'))
    with pytest.raises(PluginError, match=r"claimed by core and by taker 1\.0"):
        Registry().flavor("orchestrator", "local")


def test_a_flavor_whose_class_cannot_be_imported_names_its_distribution(install: Install) -> None:
    install("hollow", OFFERS.replace('":Thing"', '":Gone"'))
    with pytest.raises(PluginError, match=r"'one' of thing, from hollow 1\.0, cannot be loaded.*Gone"):
        Registry().flavor("thing", "one")


def test_a_flavor_of_another_type_is_refused(install: Install) -> None:
    install("liar", OFFERS.replace('Flavor("thing"', 'Flavor("other"'))
    with pytest.raises(PluginError, match="expected a component class of type 'other'"):
        Registry().flavor("other", "one")


@pytest.mark.parametrize(
    ("variable", "value", "works"),
    [
        ("CORE_PLUGINS_BLOCK", "My_Plugin", False),
        ("CORE_PLUGINS_BLOCK", "*", False),
        ("CORE_PLUGINS_BLOCK", "other", True),
        ("CORE_PLUGINS_ALLOW", "my-plugin", True),
        ("CORE_PLUGINS_ALLOW", "other", False),
        ("CORE_PLUGINS_ALLOW", "", True),
    ],
)
def test_allow_and_block(
    install: Install, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, *, works: bool
) -> None:
    install("my_plugin", OFFERS)
    monkeypatch.setenv(variable, value)
    registry = Registry()
    assert (("thing", "one") in {flavor[:2] for flavor in registry.flavors()}) is works
    assert ("my_plugin" in {info.name for info in registry.plugins() if info.state == "blocked"}) is not works
    if value == "other" and not works:
        assert "not installed" in broken(registry)["other"]


def test_one_file_plugins(install: Install, tmp_path: Path) -> None:
    (tmp_path / "solo.py").write_text(dedent(OFFERS))
    registry = Registry(one_file=(str(tmp_path / "solo.py"), str(tmp_path / "gone.py"), "no_such_module.plugin"))
    assert registry.flavor("thing", "one").__module__ == "solo"
    assert "there is no file" in broken(registry)["gone"]
    assert "no_such_module" in broken(registry)["no_such_module.plugin"]


def test_a_one_file_plugin_with_the_name_of_a_module_is_named(install: Install, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(dedent(OFFERS))
    assert "rename" in broken(Registry(one_file=(str(tmp_path / "json.py"),)))["json"]


MATERIALIZER = """
    from core.plugins import hookimpl
    from core.ports.materializer import Materializer
    class Roman(Materializer):
        name, types = "roman", ("fractions:Fraction",)
        def save(self, value, out): out.write(str(value).encode())
        def load(self, source): return source.read().decode()
    @hookimpl
    def core_materializers(): return [Roman]
"""


def test_materializers_of_plugins_are_chosen(install: Install) -> None:
    install("romans", MATERIALIZER)
    assert Registry().materializers().for_value(Fraction(1, 2)).name == "roman"


def test_the_second_materializer_of_one_name_is_set_aside(install: Install) -> None:
    install("first", MATERIALIZER)
    install("second", MATERIALIZER)
    registry = Registry()
    assert registry.materializers().named("roman").__module__ == "second"
    assert "'roman' is already the name of one of second 1.0" in broken(registry)["first"]


def test_observers_take_the_arguments_they_name(install: Install) -> None:
    source = """
        from core.plugins import hookimpl
        from core.ports.observer import Observer
        class Mine(Observer):
            def __init__(self, run): self.run = run
        @hookimpl
        def core_observers(run_id): return [Mine(run_id), "no observer"]
    """
    install("watcher", source)
    registry = Registry()
    (mine,) = registry.observers("0198", display="none")
    assert isinstance(mine, Observer)
    assert mine.run == "0198"  # type: ignore[attr-defined]
    assert "which is no Observer" in broken(registry)["watcher"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("vm_aws", "'skypilot_aws', which is not built yet"),
        ("kubernetes", "'kubernetes', which is not built yet"),
        ("lokal", "did you mean 'local'"),
        ("zzz", "installed: docker, local"),
    ],
)
def test_a_missing_flavor_says_what_to_do(name: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        Registry().flavor("orchestrator", name)
    assert hint in caught.value.hint


def test_a_missing_flavor_or_connector_type_names_the_integration_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_PLUGINS_BLOCK", "*")
    with pytest.raises(NotFoundError, match="core integration install aws"):
        Registry().flavor("artifact_store", "s3")
    with pytest.raises(NotFoundError, match="core integration install aws"):
        Registry().connector_type("aws")


def test_integrations_are_found_by_both_spellings_and_the_missing_ones_say_which_exist() -> None:
    registry = Registry()
    assert registry.integration("AWS").requirements == (f"core-plugin-aws=={VERSION}",)
    for name, words in {
        "skypilot-aws": "'skypilot_aws' is not built yet",
        "s4": "no integration 's4'; did you mean 's3'",
    }.items():
        with pytest.raises(NotFoundError, match=words) as caught:
            registry.integration(name)
        assert caught.value.hint == "there are aws, s3"


def test_our_marker_is_pluggys() -> None:
    theirs = pluggy.HookimplMarker("core")

    def ours() -> None: ...
    def other() -> None: ...

    hookimpl(ours)
    theirs(other)
    assert vars(ours) == vars(other)
    hookimpl(tryfirst=True, trylast=True, optionalhook=True, specname="core_flavors")(ours)
    theirs(tryfirst=True, trylast=True, optionalhook=True, specname="core_flavors")(other)
    assert vars(ours) == vars(other)


def test_the_built_ins_pass_pluggys_own_check() -> None:
    from core.builtin import plugin
    from core.plugins import hooks

    manager = pluggy.PluginManager("core")
    manager.add_hookspecs(hooks)
    manager.register(plugin)
    manager.check_pending()
    assert all(isinstance(item, Flavor) for items in manager.hook.core_flavors() for item in items)
    specs = [hook for hook in vars(manager.hook).values() if hook.has_spec()]
    assert len(specs) <= 12
    assert all("Fires once" in (hook.spec.function.__doc__ or "") for hook in specs)
