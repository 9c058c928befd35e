"""Last part of every converted script's header: it keeps names of its own."""

from __future__ import annotations

# -- embedded from here -------------------------------------------------------------------------
import types as _types
import typing as _t


def _nb_keep_names(names: dict[str, _t.Any]) -> None:
    """Cells may call a variable `max`, `id` or `open`; what stands above must not mind."""
    own = dict(names)

    def renewed(function: _t.Any) -> _t.Any:
        copy = _types.FunctionType(
            function.__code__, own, function.__name__, function.__defaults__, function.__closure__
        )
        copy.__doc__, copy.__kwdefaults__ = function.__doc__, function.__kwdefaults__
        return copy

    for name, value in list(names.items()):
        if isinstance(value, _types.FunctionType):
            own[name] = renewed(value)
        elif isinstance(value, type) and name.startswith("_Nb"):
            for key, inner in list(vars(value).items()):
                if isinstance(inner, _types.FunctionType):
                    setattr(value, key, renewed(inner))
                elif isinstance(inner, staticmethod):
                    setattr(value, key, staticmethod(renewed(inner.__func__)))
    names.update(own)


_nb_keep_names(globals())
if "_nb_ipython" in globals():
    globals()["_nb_ipython"]()
