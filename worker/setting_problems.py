"""What is wrong with settings, in words that name each of them and say what it should be."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ValidationError

# What Kubernetes adds to the environment of pods beside a service whose name begins with that of the variables.
_SERVICE_LINK = re.compile(r"(.+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
_OF_TESTS: Final = {"STACK"}  # chooses the servers of this project's tests
# pydantic names the alternatives of a union, and a key, in the place of an error.
_ALTERNATIVE = re.compile(r"str|int|float|bool|\[key\]|(tuple|function-\w+)\[.*")
_WORDS: Final = (
    ("Value error, ", ""),
    ("Input should be ", "must be "),
    (", unable to parse string as an integer", ""),
    (", unable to parse string as a number", ""),
    (", unable to interpret input", " (true or false)"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
    ("a valid string", "text"),
    ("a valid tuple", "a list"),
    ("a valid dictionary", "an object"),
    (" or instance of FieldPaths", " with the paths of id, stream, text, time and final"),
    (" or instance of Payload", ", or the name of a preset or format"),
    ("Tuple should have at least 1 item after validation, not 0", "must name at least one"),
    ("Field required", "is missing"),
)


def find_problems(error: ValidationError, model: type[BaseModel], given: Mapping[str, Any]) -> list[str]:
    """The problems of single settings, then those of their combination, with defaults in place of invalid settings.

    given: the arguments with which `model` raised `error`.
    """
    lines = [*_single(error, model), *_combined(error)]
    invalid = {str(one["loc"][0]) for one in error.errors() if one["loc"]} & set(model.model_fields)
    if invalid:
        defaults = {name: model.model_fields[name].get_default(call_default_factory=True) for name in invalid}
        try:
            model(**(dict(given) | defaults))
        except ValidationError as other:
            lines += _combined(other)
    return lines


def _combined(error: ValidationError) -> list[str]:
    return [str(problem) for one in error.errors() if not one["loc"] for problem in one["ctx"]["error"].args]


def _single(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for one in error.errors():
        if not one["loc"]:
            continue
        place = [str(step) for step in one["loc"]]
        alternative = next((number for number, step in enumerate(place) if _ALTERNATIVE.fullmatch(step)), len(place))
        name = ".".join(place[:alternative])
        message = _unknown(place, model) if one["type"] == "extra_forbidden" else _in_words(str(one["msg"]))
        # An empty list of what has problems of its own is no further problem.
        if one["type"] != "too_short" or not any(other.startswith(f"{name}.") for other in found):
            found.setdefault(name, []).append(message)
    for name, messages in found.items():
        first, *others = dict.fromkeys(messages)
        yield f"{name}: " + " or ".join((first, *(other.removeprefix("must be ") for other in others)))


def unknown_variables(environment: Mapping[str, str], prefix: str, names: Collection[str]) -> Iterator[str]:
    """A problem for each variable that begins as settings do and is none."""
    for variable in environment:
        name = variable.upper().removeprefix(prefix)
        is_ours = variable.upper().startswith(prefix) and name not in _OF_TESTS and not _SERVICE_LINK.fullmatch(name)
        if is_ours and name.lower() not in names:
            like = _like(name, names, prefix)
            yield f"{variable}: there is no such setting{like}; `sentiment worker --help` lists all"


def _unknown(place: list[str], model: type[BaseModel]) -> str:
    if len(place) > 1:
        return "there is no such name here; docs/connect.md lists those that there are"
    return f"there is no such setting{_like(place[0], model.model_fields, '')}"


def _like(name: str, names: Collection[str], prefix: str) -> str:
    """The setting that may be meant."""
    plain = name.replace("-", "_").lower().removeprefix("sentiment_")
    close = get_close_matches(plain, names, 1, 0.75)
    return f", but {prefix}{close[0].upper() if prefix else close[0]}" if close else ""


def _in_words(message: str) -> str:
    for old, new in _WORDS:
        message = message.replace(old, new)
    return message
