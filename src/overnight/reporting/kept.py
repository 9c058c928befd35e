"""What a job has kept under names of its own: pictures, tables, histograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from overnight.alerts.known import as_number
from overnight.messages import say
from overnight.reporting import figures, tables
from overnight.reporting.gather import Story
from overnight.reporting.parts import Figure, Table
from overnight.reporting.pictures import Pictures
from overnight.reporting.words import spelled

_TABLES_AT_MOST, _ROWS_AT_MOST, _COLUMNS_AT_MOST, _CELL_CHARS = 6, 10, 10, 160
_PICTURES_AT_MOST, _SPREADS_AT_MOST = 24, 6
_PICTURE_PX, _CELL_PX = 720, 64
#: Tables that have a part of the page to themselves.
_DRAWN_HERE = (
    "confusion_matrix", "per_class", "predictions", "reliability", "importance", "trials",
)  # fmt: skip


def gallery(story: Story, pictures: Pictures) -> list[tuple[str, str]]:
    """Title and data of the pictures that were kept; of a series the newest."""
    drawn = _drawn_anyway(story)
    newest: dict[str, Mapping[str, Any]] = {}
    for each in story.media:
        key = str(each.get("key"))
        if each.get("_kind") in ("figure", "image") and key not in drawn:
            newest.pop(key, None)
            newest[key] = each
    found = []
    for key, each in list(newest.items())[:_PICTURES_AT_MOST]:
        data = pictures.take(each.get("path"), _PICTURE_PX)
        if data:
            places = (f"{axis} {each[axis]}" for axis in ("fold", "epoch", "step") if axis in each)
            found.append((" · ".join([key, str(each.get("caption") or ""), *places]), data))
    return [(title.replace(" ·  · ", " · ").removesuffix(" · "), data) for title, data in found]


def _drawn_anyway(story: Story) -> set[str]:
    """Pictures of a training that say what a chart of the page says."""
    found = {"tuning/history", "tuning/importance", "tuning/parallel"} if story.trials else set()
    tables_there = {str(each.get("key")) for each in story.media if each.get("_kind") == "table"}
    return found | (tables_there & {"confusion_matrix", "reliability"})


def further_tables(story: Story, pictures: Pictures) -> list[Table]:
    """The first rows of the tables that a job has kept under names of its own."""
    found = []
    for record in tables.others(story, _DRAWN_HERE)[:_TABLES_AT_MOST]:
        columns = [str(each) for each in record.get("columns") or ()][:_COLUMNS_AT_MOST]
        rows = [
            [_cell(row.get(column), pictures) for column in columns]
            for row in tables.rows(story, record, _ROWS_AT_MOST)
        ]
        more = (record.get("num_rows") or 0) - len(rows)
        remark = say("report.more_rows", num=f"{more:,}") if more > 0 else ""
        found.append(Table(columns, rows, str(record.get("key")), remark=remark))
    return found


def _cell(value: object, pictures: Pictures) -> object:
    path = tables.picture_of(value)
    if path:
        data = pictures.take(path, _CELL_PX)
        return Markup('<img alt="" src="{}">').format(data) if data else ""
    return "" if value is None else spelled(value)[:_CELL_CHARS]


def spreads(story: Story) -> list[Figure]:
    """The newest histogram of each key."""
    newest = {
        str(each.get("key")): each for each in story.media if each.get("_kind") == "histogram"
    }
    found = []
    for key, each in list(newest.items())[:_SPREADS_AT_MOST]:
        counts = [as_number(count) or 0.0 for count in each.get("counts") or ()]
        low, high = as_number(each.get("low")), as_number(each.get("high"))
        if counts and low is not None and high is not None:
            found.append(Figure(key, figures.columns(low, high, counts, key)))
    return found
