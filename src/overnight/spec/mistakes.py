"""pydantic's errors as sentences of the catalogue: at which key, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from overnight import plugins
from overnight.messages import say
from overnight.spec.schema import Keys, inner_schema

#: pydantic's word for a limit → our sentence, how it is named among other possibilities, and the
#: limit's name in the error.
_LIMITS = {
    "greater_than_equal": ("spec.at_least", "spec.at_least_number", "ge"),
    "greater_than": ("spec.above", "spec.above_number", "gt"),
    "less_than_equal": ("spec.at_most", "spec.at_most_number", "le"),
    "less_than": ("spec.below", "spec.below_number", "lt"),
}
#: pydantic's words for a value of the wrong kind → our sentence.
_KINDS = {
    "spec.whole_number": ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
    "spec.number": ("float_type", "float_parsing"),
    "spec.finite": ("finite_number",),
    "spec.switch": ("bool_type", "bool_parsing"),
    "spec.text": ("string_type", "string_unicode", "path_type"),
    "spec.list": ("tuple_type", "list_type", "set_type", "frozen_set_type"),
    "spec.table": ("model_type", "model_attributes_type", "dict_type", "mapping_type"),
}
#: How each kind is named among other possibilities.
_NAMES = {
    "spec.whole_number": "spec.whole_number_kind",
    "spec.number": "spec.number_kind",
    "spec.finite": "spec.number_kind",
    "spec.switch": "spec.switch_kind",
    "spec.text": "spec.text_kind",
    "spec.list": "spec.list_kind",
    "spec.table": "spec.table_kind",
}
_SENTENCES = {word: key for key, words in _KINDS.items() for word in words}


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong at a key: its sentence and what that names; ``got`` is the caller's."""

    keys: Keys
    sentence: str
    fields: Mapping[str, Any]


def mistakes(
    errors: Sequence[Any], schema: type[BaseModel], data: Any, elsewhere: Mapping[str, str]
) -> Iterator[Mistake]:
    """What pydantic found, one mistake a key.

    Args:
        errors: ``ValidationError.errors()``.
        schema: What was validated against.
        data: What was validated.
        elsewhere: Keys of other parts → their full names, for those that stand in the wrong one.
    """
    at: dict[Keys, list[Any]] = {}
    for error in errors:
        at.setdefault(real_keys(error["loc"], schema, data), []).append(error)
    for keys, found in at.items():
        if len(found) > 1 and all(error["type"] in _WANTED for error in found):
            yield _one_of_several(keys, found)
        else:
            for error in found:
                yield _mistake(keys, error, schema, elsewhere)


def real_keys(loc: Sequence[str | int], schema: type[BaseModel], data: Any) -> Keys:
    """Where an error is; pydantic puts the members of a union between the keys."""
    keys: list[str | int] = []
    here: Any = schema
    for word in loc:
        if isinstance(word, int) or (isinstance(data, Mapping) and word in data):
            data = data[word] if not isinstance(word, int) or len(data) > word else None
        elif here is None or word not in here.model_fields:
            continue
        else:
            data = None
        keys.append(word)
        here = _inner(here, word)
    return tuple(keys)


def _inner(schema: type[BaseModel] | None, key: str | int) -> type[BaseModel] | None:
    """The schema of a key that has one of its own; the items of a list share their list's."""
    if isinstance(key, int):
        return schema
    field = None if schema is None else schema.model_fields.get(key)
    return None if field is None else inner_schema(field)


def _mistake(
    keys: Keys, error: Any, schema: type[BaseModel], elsewhere: Mapping[str, str]
) -> Mistake:
    word, ctx = error["type"], error.get("ctx", {})
    if word == "extra_forbidden":
        here: type[BaseModel] | None = schema
        for key in keys[:-1]:
            here = _inner(here, key)
        return unknown(keys, here.model_fields if here is not None else (), elsewhere)
    if word == "literal_error":
        return choice(keys, error["input"], _words(error))
    if word in _LIMITS:
        sentence, _, limit = _LIMITS[word]
        return Mistake(keys, sentence, {"limit": _number(ctx[limit])})
    if word == "missing":
        return Mistake(keys, "spec.missing", {})
    if word in _SENTENCES:
        return Mistake(keys, _SENTENCES[word], {})
    if "." in word:  # of Part.together
        return Mistake(keys, word, ctx)
    return Mistake(keys, "spec.other", {"message": error["msg"]})


def unknown(
    keys: Keys, known: Sequence[str] | Mapping[str, Any], elsewhere: Mapping[str, str]
) -> Mistake:
    """A key that nobody knows, and which one was meant."""
    key = str(keys[-1])
    near = plugins.nearest(key, known)
    if key in elsewhere:
        return Mistake(keys, "spec.key_elsewhere", {"full": elsewhere[key]})
    if near is not None:
        return Mistake(keys, "spec.key_near", {"near": near})
    return Mistake(keys, "spec.key_unknown", {"known": ", ".join(known)})


def choice(keys: Keys, given: object, known: Sequence[str]) -> Mistake:
    """A word that is none of the possible ones, and which one was meant."""
    near = plugins.nearest(given, known) if isinstance(given, str) else None
    if near is not None:
        return Mistake(keys, "spec.choice_near", {"known": ", ".join(known), "near": near})
    return Mistake(keys, "spec.choice", {"known": ", ".join(known)})


def _words(error: Any) -> list[str]:
    """The possible words of a literal: pydantic writes ``'a', 'b' or 'c'``."""
    return [part for part in str(error["ctx"]["expected"]).split("'")[1::2] if part]


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


#: Where a value may be of several kinds: errors that say what each wants.
_WANTED = {"literal_error", *_LIMITS, *_SENTENCES}


def _one_of_several(keys: Keys, errors: Sequence[Any]) -> Mistake:
    wanted: list[str] = []
    for error in errors:
        word = error["type"]
        if word == "literal_error":
            wanted += _words(error)
        elif word in _LIMITS:
            _, name, limit = _LIMITS[word]
            wanted.append(say(name, limit=_number(error["ctx"][limit])))
        else:
            wanted.append(say(_NAMES[_SENTENCES[word]]))
    return Mistake(keys, "spec.choice", {"known": ", ".join(dict.fromkeys(wanted))})
