"""Settings of components: a flavor's `Settings` model, told, filled from the command line, and checked."""

from __future__ import annotations

import json
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from core.errors import ConfigurationError, CoreError, PluginError, UsageError
from core.names import locate
from core.secrets.reference import MARK, references, refers
from core.stack.entries import command, shown
from core.text import closest, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from core.stack.entries import ComponentEntry


UNKNOWN = "extra_forbidden"
"""What pydantic calls a setting that the model does not have."""


def model_of(cls: Any) -> type[BaseModel] | None:
    """The settings model of a flavor's class; None where there is nothing to set. Raises `PluginError`."""
    model = cls.Settings
    if isinstance(model, str):
        try:
            model = locate(model)
        except CoreError:
            raise
        except Exception as error:  # border of a plugin
            what = f"the settings of flavor {cls.flavor!r} cannot be loaded: {type(error).__name__}: {error}"
            raise PluginError(what, "reinstall or mend the plugin") from error
    if model is not None and not (isinstance(model, type) and issubclass(model, BaseModel)):
        what = f"the settings of flavor {cls.flavor!r} are {model!r}; expected a pydantic model"
        raise PluginError(what, "mend the plugin")
    return model


def describe(cls: Any) -> list[dict[str, Any]]:
    """Each setting of a flavor, required ones first: `name`, `type`, `required`, `default`, `secret`, `doc`."""
    model = model_of(cls)
    found = [] if model is None else [_described(name, field) for name, field in model.model_fields.items()]
    return sorted(found, key=lambda row: not row["required"])


def _described(name: str, field: FieldInfo) -> dict[str, Any]:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        default = None
    return {
        "name": name,
        "type": _type(field.annotation),
        "required": field.is_required(),
        "default": default if isinstance(default, str | int | float | bool | list | dict) else None,
        "secret": is_secret(field),
        "doc": field.description or "",
    }


_WORDS = {str: "text", bool: "true or false", int: "whole number", float: "number", SecretStr: "text"}


def _type(annotation: Any) -> str:
    """A type as people who type a value call it."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(map(json.dumps, inner))
    if origin in {Union, UnionType}:
        return " or ".join(dict.fromkeys(_type(each) for each in inner if each is not NoneType))
    return {dict: "JSON object", list: "JSON list", tuple: "JSON list"}.get(origin or annotation, "JSON")


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting holds a secret: then it must be a reference to one."""
    return "Secret" in str(field.annotation)


def from_texts(cls: Any, texts: Mapping[str, str | None]) -> dict[str, Any]:
    """Settings typed as `--name=value`: JSON where a setting is no text, otherwise as typed; nothing is checked yet.

    One without a value (None) is true, where true is a value.
    """
    model = model_of(cls)
    fields = {} if model is None else model.model_fields
    return {name: _from_text(name, text, fields.get(name)) for name, text in texts.items()}


def _from_text(name: str, text: str | None, field: FieldInfo | None) -> Any:
    if text is None:
        if field is not None and bool not in (field.annotation, *get_args(field.annotation)):
            raise UsageError(f"--{name} has no value", f"write --{name}=VALUE, a {_type(field.annotation)}")
        return "true"
    if field is None or field.annotation is str or text[:1] not in {"{", "["} or text.startswith(MARK):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--{name} {text[:60]!r} is not valid JSON: {error}", "quote it") from error


def validate(entry: ComponentEntry, cls: Any, settings: Mapping[str, Any]) -> BaseModel | None:
    """The model that `settings` (secrets filled in) make; raises `ConfigurationError` naming each wrong one."""
    model = model_of(cls)
    if model is None:
        first = next(iter(settings))
        raise ConfigurationError(
            f"{_at(entry, first)}{entry.noun}: flavor {entry.flavor!r} has no settings, so none is called {first!r}",
            "leave it out",
        )
    try:
        made = model.model_validate(dict(settings))
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=False)
        unknown = [nearest(str(item["loc"][0]), model.model_fields) for item in items if item["type"] == UNKNOWN]
        meant = [item for item in items if item["type"] == "missing" and item["loc"][-1] in unknown]
        told = [_told(entry, model, item) for item in items if item not in meant]
        hint = f"`{command(entry.kind)} flavor describe {entry.flavor}` tells its settings"
        raise ConfigurationError("; ".join(told), hint) from None  # its own text holds what was given, secrets too
    _refuse_plain_secrets(entry, model)
    return made


def _told(entry: ComponentEntry, model: type[BaseModel], item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else ""
    inner = ".".join(map(str, item["loc"][1:]))
    where = f"{_at(entry, name)}{entry.noun} (flavor {entry.flavor!r})"
    if item["type"] == UNKNOWN and not inner:
        return f"{where} has no setting {name!r}{closest(name, model.model_fields)}"
    if item["type"] == "missing" and not inner:
        return f"{where} lacks the setting {name!r}"
    if not name:  # about several together
        return f"{where}: {_sentence(item['msg'])}"
    hidden = inner or name not in entry.settings or is_secret(model.model_fields[name])
    given = "" if hidden else f" is {shown(entry.settings[name], name)!r}"
    of = f"{name}.{inner}" if inner else name
    return f"{where}: setting {of!r}{given}: {_sentence(item['msg'])}"


def _sentence(text: str) -> str:
    """Pydantic's words, or those of a validator that says all itself."""
    text = text.removeprefix("Value error, ")
    return text.replace("Input should be ", "expected ", 1)


def _refuse_plain_secrets(entry: ComponentEntry, model: type[BaseModel]) -> None:
    for name, value in entry.settings.items():
        field = model.model_fields.get(name)
        if field is not None and is_secret(field) and not refers(value):
            raise ConfigurationError(
                f"{_at(entry, name)}{entry.noun}: setting {name!r} is a secret and would be kept in the clear",
                f"`core secret create NAME --{name}=...`, then give --{name}='{{{{NAME.{name}}}}}'",
            )


def _at(entry: ComponentEntry, name: str) -> str:
    place = entry.places.get(name) or ("" if entry.origin in {"catalog", "built in"} else entry.origin)
    return f"{place}: " if place else ""


def kept(entry: ComponentEntry, made: BaseModel | None) -> dict[str, Any]:
    """What the catalog keeps of the settings: what was given, as the model reads it; references stay as they are."""
    if made is None:
        return {}
    plain = made.model_dump(mode="json", include=set(entry.settings))
    return {name: value if references(value) else plain[name] for name, value in entry.settings.items()}
