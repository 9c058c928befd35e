"""What a trial wrote is read back: whole, broken, empty, or to be unpickled by nobody."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.preflight.trial.produced import outputs, read_back, scaled_mib


def _state_of(path: Path, python: str = "") -> str:
    (found,) = read_back(outputs([str(path)]), python)
    return found.state


def _save(folder: Path, code: str) -> None:
    """Saves weights in a program of its own: torch is large, and these tests need not be."""
    head = "import numpy as np, torch\nfrom safetensors.numpy import save_file\n"
    subprocess.run([sys.executable, "-c", head + code], cwd=folder, check=True)


def _array(value: object, *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(value), allow_pickle=pickled)
    return file.getvalue()


def _zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}" * 1000)
    return file.getvalue()


_WHOLE = {
    "a.npy": _array([[1.0, 2.0]]),
    "names.npy": _array(["가", "bc"]),
    "table.csv": b"ID,target\n1,2\n3,4\n",
    "korean.csv": '\ufeff이름,값\n"가,나",2\n'.encode(),
    "table.tsv": b"a\tb\n1\t2\n",
    "rows.jsonl": b'{"a": 1}\n{"a": 2}\n',
    "metrics.json": b'{"f1": 0.9}',
    "log.json": b'{"a": 1}\n{"a": 2}\n',
    "indexed.csv": b"a,b\n0,1,2\n1,3,4\n",
    "short.csv": b"a,b\n1,2\n1\n",
    "semicolons.csv": b"ID;text;n\n1;one, two;3\n2;a, b, c;4\n",
    "two.npy": _array([1.0]) + _array([2.0]),
    "other.jpg": b"\x89PNG\r\n\x1a\n" + bytes(50) + b"IEND\xaeB`\x82",
    "model.keras": _zipped(),
    "model.h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "plot.png": b"\x89PNG\r\n\x1a\n" + bytes(50) + b"IEND\xaeB`\x82",
    "table.parquet": b"PAR1" + bytes(20) + b"PAR1",
}
_BROKEN = {
    "a.npy": _array([[1.0, 2.0]])[:-3],
    "b.npy": b"\x93NUMPY\x01\x00\xff\xff",
    "rows.jsonl": b'{"a": 1}\n{"a": \n',
    "log.json": b'{"a": 1}\n{"a": \n',
    "metrics.json": b'{"f1": ',
    "model.keras": _zipped()[:-30],
    "model.pt": _zipped()[:-30],
    "model.h5": b"HDF",
    "plot.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "model.safetensors": struct.pack("<Q", 1 << 40) + b"{}",
    "model.pkl": pickle.dumps([1, 2, 3])[:-1],
    "table.parquet": b"PAR1" + bytes(20),
}


@pytest.mark.parametrize("name", _WHOLE)
def test_a_whole_file_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(_WHOLE[name])
    assert _state_of(tmp_path / name) == "read"


@pytest.mark.parametrize("name", _BROKEN)
def test_a_broken_file_is_called_so(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(_BROKEN[name])
    (found,) = read_back(outputs([str(tmp_path / name)]), "")
    assert found.state == "broken"
    assert found.why


@pytest.mark.parametrize("data", [b"", b"ID,target\n", b"\n"])
def test_a_table_without_rows_is_empty(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "submission.csv").write_bytes(data)
    assert _state_of(tmp_path / "submission.csv") == "empty"


def test_tables_that_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n1,2,3\n")
    assert _state_of(tmp_path / "a.csv") == "ragged"
    (tmp_path / "b.csv").write_bytes(b"id,embedding\n1," + b"0" * 200_000 + b"\n")
    assert _state_of(tmp_path / "b.csv") == "skipped"


def test_a_model_of_joblib(tmp_path: Path) -> None:
    _save(tmp_path, "import joblib\njoblib.dump({'w': np.arange(99.0)}, 'model.joblib')")
    assert _state_of(tmp_path / "model.joblib", sys.executable) == "skipped"


def test_an_archive_that_torch_save_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(_zipped())
    assert _state_of(tmp_path / "model.pt", sys.executable) == "skipped"


def test_a_flipped_byte_in_an_archive_is_found(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    _save(tmp_path, 'torch.save({"w": torch.arange(100.0)}, "model.pt")')
    data = bytearray(path.read_bytes())
    at = data.index(np.arange(100, dtype=np.float32).tobytes())
    data[at + 17] ^= 0xFF
    path.write_bytes(data)
    assert _state_of(path) == "broken"


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return open, (str(tmp_path / "run"),)

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Evil()))
    np.save(tmp_path / "objects.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    _save(
        tmp_path,
        "class Evil:\n"
        "    def __reduce__(self):\n"
        f"        return open, ({str(tmp_path / 'run')!r},)\n"
        "torch.save(Evil(), 'model.pt')",
    )
    for name in ("model.pkl", "objects.npy", "model.pt"):
        assert _state_of(tmp_path / name, sys.executable) == "pickle"
    assert not (tmp_path / "run").exists()


def test_weights_are_loaded_in_the_jobs_python(tmp_path: Path) -> None:
    _save(
        tmp_path,
        'torch.save({"model": {"w": torch.ones(3)}, "epoch": 1}, "good.pt")\n'
        'torch.save({"model": {"w": torch.tensor([1.0, float("nan")])}}, "nan.pt")\n'
        # What else a checkpoint holds may be infinite: the best loss before the first epoch.
        'best = {"model": {"w": torch.ones(3)}, "best": torch.tensor(float("inf"))}\n'
        'torch.save(best, "best.pt")\n'
        'save_file({"w": np.ones(3, np.float32)}, "good.safetensors")',
    )
    paths = [str(tmp_path / name) for name in ("best.pt", "good.pt", "good.safetensors", "nan.pt")]
    states = [each.state for each in read_back(outputs(paths), sys.executable)]
    assert states == ["read", "read", "read", "nonfinite"]


_SUFFIXES = sorted({Path(name).suffix for name in (*_WHOLE, *_BROKEN)} | {".npz", ".bin", ".jpg"})


@settings(max_examples=150, deadline=None)
@given(suffix=st.sampled_from(_SUFFIXES), data=st.binary(max_size=300), whole=st.booleans())
def test_any_bytes_give_a_state(
    suffix: str, data: bytes, whole: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    begin = next((d for n, d in _WHOLE.items() if Path(n).suffix == suffix), b"") if whole else b""
    path = tmp_path_factory.getbasetemp() / ("any" + suffix)
    path.write_bytes(begin[: len(data)] + data)
    assert _state_of(path) in ("read", "pickle", "ragged", "broken", "empty", "skipped")


@settings(max_examples=50, deadline=None)
@given(header=st.recursive(st.none() | st.integers() | st.text(max_size=5),
                           lambda inner: st.dictionaries(st.text(max_size=14), inner)))  # fmt: skip
def test_any_header_of_weights_gives_a_state(
    header: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    assert _state_of(path) in ("read", "broken")


def test_a_file_an_epoch_is_counted_for_each_epoch() -> None:
    mib = 2**20
    found = scaled_mib([("ck/1.pt", mib), ("ck/20.pt", mib), ("best.pt", mib)], (2, 20))
    assert found == (3.0, 21.0)
    assert scaled_mib([("fold1.pt", mib)], (2, 20)) == (1.0, 1.0)
    assert scaled_mib([("a1.pt", mib), ("a2.pt", mib)], None) == (2.0, 2.0)
