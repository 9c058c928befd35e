"""What of a run is a file, as MLflow's page shows it: pictures, tables, versions, the data used.

A version of a file or folder has a folder of its own; tags say which one is the newest, and which
bears an alias. The data a run used is one of its inputs, where runs can be compared by it.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Run, RunTag
from mlflow.exceptions import MlflowException
from requests import HTTPError

from overnight.ledger import png
from overnight.trackers.base import Item, Rejected
from overnight.trackers.files import Part, Unfit, parts_of, picture_of, reading, spread_of, table_of

#: What the server takes.
_MOST_NAME_CHARS, _MOST_TAG_CHARS = 250, 5000
_MOST_DATASET_CHARS, _MOST_DIGEST_CHARS, _MOST_PROFILE_CHARS = 500, 36, 16_000_000
#: Of a version's sha256, in the name of its folder.
_VERSION_CHARS = 12
_PICTURES = (".png", ".jpg", ".jpeg")
#: Of a histogram's picture, and of the width of all its bars, in pixels.
_BARS_HEIGHT, _BARS_WIDTH = 128, 512
_SHOWN_TABLES, _SHOWS_PICTURES = "mlflow.loggedArtifacts", "mlflow.loggedImages"


class Media:
    """The files of one run there.

    Args:
        client: MLflow's.
        run: The run there.
        dir: The run's folder here.
    """

    def __init__(self, client: MlflowClient, run: Run, dir: Path) -> None:
        self._client = client
        self._id: str = run.info.run_id
        self._where: str = run.info.artifact_uri
        self._dir = dir
        self._has_pictures = _SHOWS_PICTURES in run.data.tags
        self._tables: list[Any] = json.loads(run.data.tags.get(_SHOWN_TABLES, "[]"))

    def attach(self, item: Item) -> list[Rejected]:
        """Puts one; what is rejected of it.

        Raises:
            MlflowException: The server does not answer.
            OSError: The artifacts' disk does not.
        """
        try:
            self._put_item(item)
        except Unfit as error:
            return [Rejected(item.key, str(error), "media.jsonl", item.seq)]
        return []

    def _put_item(self, item: Item) -> None:
        match item.kind:
            case "image" | "figure" if item.path.suffix.lower() in _PICTURES:
                self._put_picture(item)
            case "table":
                self._put_table(item)
            case "histogram":
                self._put_spread(item)
            case "artifact":
                self._put_version(item)
            case "config":
                self._put(Part(item.path.name, item.path), "config")
            case _:
                self._put(Part(item.path.name, item.path), f"media/{_folder(item.key)}")

    def _put_picture(self, item: Item) -> None:
        # The page finds pictures by these names, and shows the small one of a pair.
        unique = uuid.uuid5(uuid.NAMESPACE_OID, f"{item.key}{item.record.get('sha256')}{item.step}")
        key = _folder(item.key).replace("/", "~")
        name = f"{key}+step+{item.step or 0}+timestamp+{item.t_us // 1000}+{unique}"
        self._put(Part(name + item.path.suffix, item.path), "images")
        self._put(Part(name + "+compressed.webp", item.path), "images")
        if not self._has_pictures:
            self._set_tags({_SHOWS_PICTURES: "true"})
            self._has_pictures = True

    def _put_spread(self, item: Item) -> None:
        with reading():
            *_, counts = spread_of(item)
        with TemporaryDirectory() as folder:
            path = Path(folder, "histogram.png")
            path.write_bytes(_bars(counts))
            self._put_picture(replace(item, path=path))

    def _put_table(self, item: Item) -> None:
        name = _folder(item.key)
        pictures: dict[str, Path] = {}

        def cell(said: Mapping[str, Any]) -> dict[str, str]:
            """A picture as the table's page reads it."""
            path = picture_of(said, self._dir)
            pictures[path.name] = path
            shown = f"table_images/{name}/{path.name}"
            return {"type": "image", "filepath": shown, "compressed_filepath": shown}

        with reading():
            columns, rows = table_of(item, cell)
            text = json.dumps({"columns": columns, "data": rows}, ensure_ascii=False)
        for path in pictures.values():
            self._put(Part(path.name, path, is_final=True), f"table_images/{name}")
        self._client.log_text(self._id, text, f"tables/{name}.json")
        mine = {"path": f"tables/{name}.json", "type": "table"}
        if mine not in self._tables:
            self._set_tags({_SHOWN_TABLES: json.dumps([*self._tables, mine])})
            self._tables.append(mine)

    def _put_version(self, item: Item) -> None:
        sha256 = str(item.record.get("sha256") or "")
        # Side by side: a file that only an older version had is none of the newer's.
        folder = f"artifacts/{_folder(item.key)}/{_folder(sha256[:_VERSION_CHARS])}"
        with reading():
            parts = list(parts_of(item, self._dir))
        for part in parts:
            self._put(part, folder)
        said = {f"artifact.{item.key}": sha256}
        said |= {f"artifact.{item.key}.{alias}": sha256 for alias in item.aliases}
        self._set_tags(said)
        if item.record.get("kind") == "dataset":
            self._note_dataset(item, sha256, f"{self._where}/{folder}")

    def _note_dataset(self, item: Item, sha256: str, card: str) -> None:
        """Names the data the run used, and where its card lies."""
        found = item.record.get("metadata")
        said = found if isinstance(found, dict) else {}
        profile = json.dumps(said, ensure_ascii=False)
        data = Dataset(
            name=item.key[:_MOST_DATASET_CHARS],
            digest=str(said.get("fingerprint") or sha256)[:_MOST_DIGEST_CHARS],
            source_type="overnight",
            source=json.dumps({"card": card}),
            profile=profile if said and len(profile) <= _MOST_PROFILE_CHARS else None,
        )
        use = [InputTag("mlflow.data.context", "training")]
        self._client.log_inputs(self._id, datasets=[DatasetInput(data, use)])

    def _put(self, part: Part, folder: str) -> None:
        """Puts one file into a folder of the run's artifacts; the same again replaces it."""
        local = _local(self._where)
        inside, _, name = part.name.rpartition("/")
        folder = f"{folder}/{inside}" if inside else folder
        if local is not None:
            target = local / folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with reading():
                part.put(target)
            return
        with TemporaryDirectory() as own:
            # It is filed under the name it has here.
            named = Path(own, name)
            named.symlink_to(part.path.resolve())
            if not named.is_file():
                raise Unfit(f"{part.path} is gone")
            try:
                self._client.log_artifact(self._id, str(named), folder)
            except (MlflowException, HTTPError) as error:
                if _is_refused(error):  # a name that can be no file's there, or too large
                    raise Unfit(str(error)) from error
                raise

    def _set_tags(self, tags: Mapping[str, str]) -> None:
        self._client.log_batch(self._id, tags=tags_of(tags))


def tags_of(said: Mapping[str, str]) -> list[RunTag]:
    """Tags as MLflow takes them: of a name that it would refuse only what it takes is left."""
    return [RunTag(tag_name(key), value[:_MOST_TAG_CHARS]) for key, value in said.items()]


def tag_name(text: str) -> str:
    """A tag's name as MLflow takes it: it has to be a path as well, and a plain one."""
    parts = re.sub(r"[^\w\-. :/]+", "_", text)[:_MOST_NAME_CHARS].split("/")
    return "/".join(filter(None, (part.lstrip(".") for part in parts))) or "_"


def _folder(key: str) -> str:
    """A key as a path below the artifacts."""
    parts = [re.sub(r"[^\w\-. ]+", "_", part).strip(". ") for part in key.split("/")]
    return "/".join(part for part in parts if part)[:200] or "_"


def _is_refused(error: MlflowException | HTTPError) -> bool:
    """Whether the server has looked at a file and will not have it."""
    if isinstance(error, MlflowException):
        return bool(error.error_code == "INVALID_PARAMETER_VALUE")
    return error.response is not None and error.response.status_code in (400, 413)


def _local(uri: str) -> Path | None:
    """The folder behind a file: address; None where it is no local one."""
    split = urlsplit(uri)
    return Path(unquote(split.path)) if split.scheme == "file" else None


def _bars(counts: Sequence[int]) -> bytes:
    """A histogram's picture: grey bars on white, as high as what they count."""
    wide = max(1, _BARS_WIDTH // len(counts))
    most = max(1, *counts)
    tops = [_BARS_HEIGHT - -(-count * _BARS_HEIGHT // most) for count in counts]
    lines = (b"".join(b"\x60" * wide if y >= top else b"\xff" * wide for top in tops)
             for y in range(_BARS_HEIGHT))  # fmt: skip
    return png.encode(wide * len(counts), _BARS_HEIGHT, 1, b"".join(lines))
