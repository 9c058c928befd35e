"""Part of converted scripts that import IPython: its display functions, installed or not."""

# ruff: noqa: PTH113, PTH123
# This file runs inside scripts, not inside Overnight: it prints, and needs nothing but Python 3.9.
from __future__ import annotations

# -- embedded from here -------------------------------------------------------------------------
import os as _os
import sys as _sys
import types as _types
import typing as _t


class _NbRich:
    """What ``IPython.display`` makes: something to look at, given as data, file or address."""

    def __init__(self, data: _t.Any = None, *args: _t.Any, **kwargs: _t.Any) -> None:
        self.data = data
        self.filename = kwargs.get("filename")
        self.url = kwargs.get("url")
        if isinstance(data, str) and _os.path.isfile(data):
            self.data, self.filename = None, data

    def __repr__(self) -> str:
        if type(self).__name__ in ("Markdown", "Latex", "Math", "Pretty", "Code"):
            return str(self.data)
        return f"<IPython.display.{type(self).__name__} {self.filename or self.url or 'object'}>"

    def _bytes(self) -> _t.Any:
        if self.data is None and self.filename:
            with open(self.filename, "rb") as file:
                return file.read()
        return self.data

    def _repr_png_(self) -> _t.Any:
        data = self._bytes() if type(self).__name__ == "Image" else None
        return data if isinstance(data, bytes) and data.startswith(b"\x89PNG") else None

    def _repr_jpeg_(self) -> _t.Any:
        data = self._bytes() if type(self).__name__ == "Image" else None
        return data if isinstance(data, bytes) and data.startswith(b"\xff\xd8") else None

    def _repr_mimebundle_(self, **kwargs: _t.Any) -> _t.Any:
        mime = {"SVG": "image/svg+xml", "HTML": "text/html"}.get(type(self).__name__)
        data = self._bytes() if mime else None
        return {mime: data.decode() if isinstance(data, bytes) else data} if mime else {}


def _nb_ipython() -> None:
    """Give ``IPython.display`` to the script, over the real one where it is installed."""
    try:
        import IPython.display as shown
    except ImportError:
        names = (
            "Audio Code FileLink FileLinks GeoJSON HTML IFrame Image JSON Javascript Latex "
            "Markdown Math Pretty ProgressBar SVG Video VimeoVideo YouTubeVideo DisplayObject"
        )
        root: _t.Any = _types.ModuleType("IPython")
        root.__path__ = []
        core: _t.Any = _types.ModuleType("IPython.core")
        core.__path__ = []
        shell: _t.Any = _types.ModuleType("IPython.core.interactiveshell")
        shell.InteractiveShell = type("InteractiveShell", (), {"ast_node_interactivity": ""})
        shown = _types.ModuleType("IPython.display")
        for name in names.split():
            setattr(shown, name, type(name, (_NbRich,), {}))
        root.display, root.core, core.display, core.interactiveshell = shown, core, shown, shell
        root.get_ipython = core.getipython = globals()["get_ipython"]
        modules = {"": root, ".display": shown, ".core": core, ".core.display": shown}
        modules[".core.interactiveshell"] = shell
        modules[".core.display_functions"] = shown
        _sys.modules.update({"IPython" + name: module for name, module in modules.items()})
    nothing = globals()["get_ipython"]
    shown.display = globals()["display"]
    for name in ("clear_output", "set_matplotlib_formats", "update_display", "display_html"):
        setattr(shown, name, lambda *args, **kwargs: nothing())
    shown.display_html = shown.display
