"""Part of every converted script: what a cell shows, as text and picture files."""

# ruff: noqa: T201, PTH100, PTH103, PTH107, PTH118, PTH122, PTH123, RET503
# This file runs inside scripts, not inside Overnight: it prints, and needs nothing but Python 3.9.
from __future__ import annotations

# -- embedded from here -------------------------------------------------------------------------
import builtins as _builtins
import importlib.abc as _abc
import importlib.util as _util
import os  # noqa: F401
import os as _os
import sys as _sys
import typing as _t

_os.environ.setdefault("MPLBACKEND", "Agg")  # there is no screen
_os.environ.setdefault("TQDM_MININTERVAL", "5")
_NB_SCRIPT = _os.path.abspath(globals().get("__file__", "notebook.py"))
if __name__ == "__main__":  # as in a notebook: worker processes do not run the script again
    globals().pop("__file__", None)
_nb_shown: dict[int, _t.Any] = {}  # figures this cell has shown itself
_nb_counts: dict[int, int] = {}
_nb_marks: list[tuple[int, int]] = []


def _nb_cell() -> int:
    """The notebook cell that is running: the nearest mark above the script's current line."""
    frame: _t.Any = _sys._getframe(1)
    here = frame.f_code.co_filename
    while frame is not None and (frame.f_code.co_name, frame.f_code.co_filename) != (
        "<module>",
        here,
    ):
        frame = frame.f_back
    if not _nb_marks:
        _nb_marks.append((0, 0))
        try:
            with open(_NB_SCRIPT, encoding="utf-8") as script:
                for number, text in enumerate(script, 1):
                    if text.startswith("# %% cell ") and text.split()[3].isdigit():
                        _nb_marks.append((number, int(text.split()[3])))
        except OSError:
            pass
    line = 0 if frame is None else frame.f_lineno
    return max(cell for mark, cell in _nb_marks if mark <= line)


def _nb_keep(content: _t.Any, suffix: str) -> None:
    """Save a picture (bytes, text, or a figure): into the run, else beside the script."""
    cell = _nb_cell()
    _nb_counts[cell] = _nb_counts.get(cell, 0) + 1
    name = f"cell_{cell}_{_nb_counts[cell]}{suffix}"
    run_dir = _os.environ.get("OVERNIGHT_RUN_DIR")
    folder = _os.path.splitext(_NB_SCRIPT)[0] + "_pictures"
    if run_dir:
        folder = _os.path.join(run_dir, "media")
    path = _os.path.join(folder, name)
    try:
        _os.makedirs(folder, exist_ok=True)
        if hasattr(content, "savefig"):
            content.savefig(path, bbox_inches="tight")
        elif hasattr(content, "write_html"):
            content.write_html(path, include_plotlyjs="cdn")
        else:
            data = (
                content if isinstance(content, bytes) else str(content).encode("utf-8", "replace")
            )
            with open(path, "wb") as file:
                file.write(data)
        if run_dir:
            try:
                import overnight
            except ImportError:
                pass
            else:
                stored = overnight.figure(path, key=f"cell_{cell}")
                if stored is not None and _os.path.abspath(stored) != path:
                    _os.remove(path)
                    path = str(stored)
    except Exception as error:  # a picture never ends a training
        print(f"[picture not saved] cell {cell}: {type(error).__name__}: {error}", flush=True)
    else:
        print(f"[picture] {path}", flush=True)


def _nb_text(value: _t.Any) -> str:
    """A value as the notebook's text output."""
    if hasattr(value, "to_string") and hasattr(value, "iloc"):  # pandas
        limits = {"max_cols": 20} if hasattr(value, "columns") else {}
        return str(value.to_string(max_rows=60, **limits))
    text = repr(value)
    return text if len(text) <= 100_000 else text[:100_000] + f"… ({len(text)} characters)"


def _nb_show(value: _t.Any = None) -> None:
    """Show a cell's last value: pictures become files, all else is printed."""
    if value is None:
        return None
    _builtins._ = value  # type: ignore[attr-defined]
    if isinstance(value, type):
        print(value)
        return None
    if hasattr(value, "savefig") and hasattr(value, "axes"):  # matplotlib
        _nb_shown[id(value)] = value
        return _nb_keep(value, ".png")
    if hasattr(value, "write_html"):  # plotly
        return _nb_keep(value, ".html")
    if hasattr(value, "to_string") and hasattr(value, "iloc"):
        return print(_nb_text(value), flush=True)
    bundle: _t.Any = {}
    try:
        if hasattr(value, "_repr_mimebundle_"):
            bundle = value._repr_mimebundle_(include=None, exclude=None) or {}
            bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        for kind, suffix in (("png", ".png"), ("jpeg", ".jpg"), ("svg", ".svg")):
            method = getattr(value, f"_repr_{kind}_", None)
            mime = "image/svg+xml" if kind == "svg" else f"image/{kind}"
            data = bundle.get(mime) or (method() if callable(method) else None)
            data = data[0] if isinstance(data, tuple) else data
            if isinstance(data, str) and kind != "svg":
                import base64

                data = base64.b64decode(data)
            if data:
                return _nb_keep(data, suffix)
        text: _t.Any = type(value).__repr__
        plain = text is object.__repr__ or repr(value).startswith("<IPython.")
        method = getattr(value, "_repr_html_", None)
        html = bundle.get("text/html") or (method() if plain and callable(method) else None)
        if html and plain:
            return _nb_keep(html, ".html")
    except Exception as error:  # showing a value never ends a training
        print(f"[not shown] {type(error).__name__}: {error}")
    print(_nb_text(value), flush=True)


def _nb_figures(*args: object, **kwargs: object) -> None:
    """Save the open matplotlib figures: at ``plt.show()`` and at the end of a cell."""
    pyplot = _sys.modules.get("matplotlib.pyplot")
    if pyplot is None or not hasattr(pyplot, "get_fignums"):
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        if id(figure) not in _nb_shown and figure.axes:
            _nb_keep(figure, ".png")
    pyplot.close("all")
    _nb_shown.clear()


def display(*values: object, **kwargs: object) -> None:
    """IPython's display, without a browser."""
    for value in values:
        print(value) if isinstance(value, str) else _nb_show(value)


def get_ipython() -> None:
    """No IPython is running."""


def _nb_patch(module: _t.Any) -> None:
    """What needs a screen or a browser page saves a file instead."""
    if module.__name__ == "matplotlib.pyplot":
        module.show = _nb_figures
    else:  # plotly
        module.BaseFigure.show = lambda figure, *args, **kwargs: _nb_show(figure)


class _NbFinder(_abc.MetaPathFinder):
    """Patches these modules when (and only when) something imports them."""

    waiting = {"matplotlib.pyplot", "plotly.basedatatypes"}

    def find_spec(self, name: str, path: _t.Any, target: _t.Any = None) -> _t.Any:
        if name not in self.waiting:
            return None
        self.waiting.discard(name)
        spec = _util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: _t.Any) -> None:
                run(module)
                _nb_patch(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


for _nb_name in _NbFinder.waiting & set(_sys.modules):
    _nb_patch(_sys.modules[_nb_name])
_sys.meta_path.insert(0, _NbFinder())
