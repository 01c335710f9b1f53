"""The file of `core run --config run.yaml`: parameters, options of steps, stack; every error with its line."""

from __future__ import annotations

from typing import NamedTuple

from core.model.nothing import NOTHING
from core.model.spec import MAX_WORKERS, ImageSettings, Resources, Retry
from core.yaml_file import YamlFile, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class RunConfig(NamedTuple):
    """What a run's configuration file says; what it leaves out stays as the code has it."""

    parameters: Mapping[str, Any] = NOTHING
    """Arguments of the pipeline, as plain data."""
    steps: Mapping[str, Mapping[str, Any]] = NOTHING
    """Node id to options, ready for `StepOptions`."""
    stack: str = ""
    """Name of the stack; empty for the active one."""
    no_cache: bool | tuple[str, ...] = False
    """True: reuse nothing; names: run these steps in any case."""
    fail_fast: bool = False
    """Whether the first failure ends the run."""
    tags: tuple[str, ...] = ()
    """Words to find the run by."""
    workers: int | None = None
    """Processes that run steps side by side, 0 for one a core; None as the pipeline or the settings say."""
    places: Mapping[str, str] = NOTHING
    """`parameter 'x'` or `step 'x'` to the `file:line` where it stands."""


def read_run_config(path: str) -> RunConfig:
    """Read `path`; raises `ConfigurationError` with file, line, and the closest right key."""
    return _Reader(path, "give --config the path of a YAML file", "parameters:").run_config()


class _Reader(YamlFile):
    """One file on its way from plain data to `RunConfig`."""

    def run_config(self) -> RunConfig:
        data = self.read()
        readers: dict[str, Callable[[Any, int], Any]] = {
            "parameters": self.mapping,
            "steps": self._steps,
            "stack": self.text,
            "no_cache": self._no_cache,
            "fail_fast": self._flag,
            "tags": self.texts,
            "workers": self._workers,
        }
        config = RunConfig(**self.each(data, readers, "key"))
        lines = {"parameter": getattr(config.parameters, "lines", {}), "step": getattr(data.get("steps"), "lines", {})}
        return config._replace(
            places={f"{noun} {name!r}": f"{self.path}:{line}" for noun in lines for name, line in lines[noun].items()}
        )

    def _steps(self, value: Any, line: int) -> dict[str, dict[str, Any]]:
        steps = self.mapping(value, line)
        return {name: self._step(name, options, steps.lines[name]) for name, options in steps.items()}

    def _step(self, name: str, value: Any, line: int) -> dict[str, Any]:
        readers: dict[str, Callable[[Any, int], Any]] = {
            "cache": self._flag,
            "cache_expires": self._positive,
            "retry": self._retry,
            "timeout": self._positive,
            "resources": self._resources,
            "image": self._image,
            "runs_on": self.text,
            "tags": self.texts,
            "environment": self._text_mapping,
            "materializers": self._text_mapping,
            "map_limit": self._whole,
        }
        return {} if value is None else self.each(self.mapping(value, line), readers, "option", f" of step {name!r}")

    def _retry(self, value: Any, line: int) -> Retry:
        """`retry: 3` or `retry: {attempts: 3, delay: 1}`."""
        if not isinstance(value, dict):
            return Retry(attempts=self._whole(value, line))
        readers: dict[str, Callable[[Any, int], Any]] = {
            "attempts": self._whole,
            "delay": self._number,
            "backoff": self._number,
            "jitter": self._share,
            "infrastructure": self._natural,
        }
        return Retry(**self.each(self.mapping(value, line), readers, "key", " of retry"))

    def _resources(self, value: Any, line: int) -> Resources:
        texts = dict.fromkeys(("memory", "accelerators", "disk"), self.text)
        return Resources(
            **self.each(self.mapping(value, line), {"cpus": self._positive, **texts}, "key", " of resources")
        )

    def _image(self, value: Any, line: int) -> ImageSettings:
        texts = ("base_image", "python_version", "ignore_file", "code_limit", "platform", "dockerfile", "build_context")
        readers: dict[str, Callable[[Any, int], Any]] = {
            **dict.fromkeys(texts, self.text),
            "requirements": self._requirements,
            "apt_packages": self.texts,
            "environment": self._text_mapping,
            "include": self.texts,
            "build_secrets": self._text_mapping,
            "skip_build": self._flag,
        }
        return ImageSettings(**self.each(self.mapping(value, line), readers, "key", " of image"))

    def _requirements(self, value: Any, line: int) -> tuple[str, ...] | str:
        """A list of requirements, or the path of a file."""
        return self.texts(value, line) if isinstance(value, list) else self.text(value, line)

    def _text_mapping(self, value: Any, line: int) -> dict[str, str]:
        mapping = self.mapping(value, line)
        return {key: self.text(item, mapping.lines[key]) for key, item in mapping.items()}

    def _flag(self, value: Any, line: int) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(line, f"expected true or false, not {kind_of(value)}")
        return value

    def _number(self, value: Any, line: int) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise self.wrong(line, f"expected a number from 0 on, not {kind_of(value)}")
        return float(value)

    def _positive(self, value: Any, line: int) -> float:
        number = self._number(value, line)
        if not number:
            raise self.wrong(line, "expected a number above 0, not 0")
        return number

    def _share(self, value: Any, line: int) -> float:
        number = self._number(value, line)
        if number > 1:
            raise self.wrong(line, f"expected a number from 0 to 1, not {kind_of(value)}")
        return number

    def _whole(self, value: Any, line: int) -> int:
        return self._natural(value, line, first=1)

    def _natural(self, value: Any, line: int, first: int = 0) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < first:
            raise self.wrong(line, f"expected a whole number from {first} on, not {kind_of(value)}")
        return value

    def _workers(self, value: Any, line: int) -> int:
        if value == "auto":
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WORKERS:
            raise self.wrong(
                line, f"expected a whole number from 0 to {MAX_WORKERS}, or auto for one a core, not {kind_of(value)}"
            )
        return value

    def _no_cache(self, value: Any, line: int) -> bool | tuple[str, ...]:
        return value if isinstance(value, bool) else self.texts(value, line)
