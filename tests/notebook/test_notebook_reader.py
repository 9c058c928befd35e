"""Any file is a notebook or a clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.errors import NotebookError
from overnight.notebook import Conversion, convert

Convert = Callable[..., Conversion]
Attempt = Callable[..., Conversion | NotebookError]
SLOW_DISK = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=150)


def write(path: Path, document: object, *, encoding: str = "utf-8") -> Path:
    path.write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    return path


def code(source: object, **more: object) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, **more}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.ipynb", {"cells": [code(["x = '가'\n", "x"])]}, encoding=encoding)
    assert "# %% cell 1\nx = '가'\n_nb_show(x)" in convert(path, env={}).source


def test_windows_line_ends_and_str_source(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", {"cells": [code("a = 1\r\nif a:\r\n    !ls\r\n")]})
    assert '# %% cell 1\na = 1\nif a:\n    _nb_sh("ls")' in convert(path, env={}).source


def test_nbformat_3(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Title"},
        {"cell_type": "code", "language": "python", "input": ["y = 2"], "prompt_number": 1},
    ]
    path = write(tmp_path / "a.ipynb", {"worksheets": [{"cells": cells}], "nbformat": 3})
    source = convert(path, env={}).source
    assert "# ## Title" in source
    assert "# %% cell 1\ny = 2" in source


def test_text_raw_and_blank_cells_do_not_count(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": "one\ntwo", "attachments": {"a.png": {}}},
        {"cell_type": "raw", "source": "raw"},
        code(" \n"),
        code("x = 1"),
    ]
    conversion = convert(write(tmp_path / "a.ipynb", {"cells": cells}), env={})
    assert conversion.num_cells == 1
    assert "# %% [markdown]\n# one\n# two\n" in conversion.source
    assert "# %% cell 1\nx = 1" in conversion.source


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"", "notebook.empty"),
        (b" \n", "notebook.empty"),
        (b"{", "notebook.not_json"),
        (b"\xff\xfe\x00", "notebook.not_json"),
        (b"[" * 100_000, "notebook.not_json"),
        (b"[]", "notebook.not_a_notebook"),
        (b'{"cells": 3}', "notebook.not_a_notebook"),
        (b'{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}',
         "notebook.other_language"),
        (b'{"cells": [], "metadata": {"kernelspec": {"name": "julia-1.10"}}}',
         "notebook.other_language"),
        (b'{"cells": [], "metadata": {"kernelspec": {"name": "ir"}}}', "notebook.other_language"),
        (b'{"cells": [], "metadata": {"language_info": {"name": "R"}}}', "notebook.other_language"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, data: bytes, key: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(data)
    with pytest.raises(NotebookError) as caught:
        convert(path, env={})
    assert caught.value.key == key
    assert caught.value.fix


@pytest.mark.parametrize("name", ["python3", "conda-env-py310-py", "irisenv", "Python [conda]"])
def test_python_kernels_by_any_name(tmp_path: Path, name: str) -> None:
    document = {"cells": [code("1")], "metadata": {"kernelspec": {"name": name}}}
    assert convert(write(tmp_path / "a.ipynb", document), env={}).kernel == name


def test_missing_file_folder_and_odd_names(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ipynb", tmp_path, Path("nul\0.ipynb")):
        with pytest.raises(NotebookError) as caught:
            convert(path, env={})
        assert caught.value.key == "notebook.unreadable"


@pytest.mark.parametrize(
    "name",
    ["[Image Classification] 베이스라인 코드 해설", "a 'b' \"c\"", "line\nbreak", "🙂", "$(x) `y`"],
)
def test_hostile_names(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / (name + ".ipynb"), {"cells": [code("x = 1")]})
    source = convert(path, env={}).source
    compile(source, "script", "exec")
    assert source.count("\n# %% cell 1\n") == 1


def test_cells_that_are_no_python(converted: Convert) -> None:
    conversion = converted("x = 1", "this is no Python", "return 3")
    assert [(f.key, f.level, f.cell) for f in conversion.findings] == [
        ("notebook.cell_not_python", "blocks", 2),
        ("notebook.cell_not_python", "blocks", 3),
    ]
    assert "#  this is no Python" in conversion.source


def test_a_broken_cell_that_was_never_run_only_warns(converted: Convert) -> None:
    conversion = converted("x = 1", "pseudo code here", counts=[1, None])
    assert [f.level for f in conversion.findings] == ["warns"]


def test_skipped_cells(tmp_path: Path) -> None:
    cells = [code("1/0", metadata={"tags": ["skip-execution"]}), code("x = 1")]
    conversion = convert(write(tmp_path / "a.ipynb", {"cells": cells}), env={})
    assert "#  1/0" in conversion.source
    assert [f.key for f in conversion.findings] == ["notebook.cell_skipped"]


def test_deep_nesting_is_told(make: Callable[..., Path], attempt: Attempt) -> None:
    path = make("x = " + "(" * 5000 + ")" * 5000, "y = " + "+".join("1" * 30_000))
    found = attempt(path)
    assert found.key == "notebook.too_deep" if isinstance(found, NotebookError) else found.blocks


@SLOW_DISK
@given(data=st.binary(max_size=400))
def test_any_bytes(tmp_path: Path, attempt: Attempt, data: bytes) -> None:
    path = tmp_path / "any.ipynb"
    path.write_bytes(data)
    found = attempt(path)
    assert found.what if isinstance(found, NotebookError) else found.source


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["cells", "worksheets", "source", "cell_type", "metadata", "tags",
                         "kernelspec", "language", "name", "outputs", "execution_count", "input"]),
        inner, max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@SLOW_DISK
@given(
    cells=st.lists(
        st.fixed_dictionaries({"cell_type": st.just("code"), "source": JSON | st.text()}),
        max_size=3,
    ),
    metadata=JSON,
)
def test_any_json(
    tmp_path: Path, attempt: Attempt, cells: list[dict[str, Any]], metadata: object
) -> None:
    path = tmp_path / "any.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": metadata}), "utf-8")
    found = attempt(path)
    if isinstance(found, NotebookError):
        assert found.what
    else:
        compile(found.source, "script", "exec")
