"""The page itself: the parts of a run, or of several beside each other, laid into the template."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from overnight import __version__
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import word
from overnight.messages import Language, say, speaking
from overnight.reporting import compare, curves, kept, left, search, sections, surroundings, words
from overnight.reporting.gather import Story, gather
from overnight.reporting.pictures import Pictures

_TEMPLATES = Path(__file__).parent / "templates"
#: How a state looks: good, bad, or neither.
_LOOKS = {"finished": "good", "failed": "bad", "lost": "bad", "stalled": "bad"}
#: More would be neither a picture nor a table that anybody reads.
RUNS_AT_MOST = 12


def write(runs: Sequence[RunPaths], path: Path, language: Language) -> None:
    """Writes the page of a run, or the comparison of several.

    Args:
        runs: One or more.
        path: The file; one that is there is replaced, whole or not at all.
        language: Of the page.

    Raises:
        OSError: It cannot be written.
    """
    text = render([gather(run) for run in runs], language)
    files.replace(str(path), text.encode("utf-8", "replace"), sync=False)


def render(stories: Sequence[Story], language: Language) -> str:
    """The page as text."""
    with speaking(language):
        env = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        shown: Mapping[str, Any] = {
            "say": say,
            "language": language,
            "style": Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
            "made": say(
                "report.made",
                version=__version__,
                moment=words.moment(time.time_ns() // 1000),
                zone=time.strftime("%Z") or "UTC",
            ),
        }
        if len(stories) == 1:
            return env.get_template("run.html").render(**shown, **_run(stories[0]))
        return env.get_template("compared.html").render(**shown, **compare.compared(stories))


def _run(story: Story) -> dict[str, Any]:
    metric = curves.main_metric(story)
    by_fold = curves.folds(story, metric)
    pictures = Pictures(story.run)
    cause = words.cause(story)
    drawn, calibration = sections.reliability(story)
    searched, trials = search.search(story, metric)
    asked, default = surroundings.settings(story)
    # In the order of what they are worth: the room for pictures may not be enough for all.
    worst = sections.worst(story, pictures)
    gallery = kept.gallery(story, pictures)
    further = kept.further_tables(story, pictures)
    return {
        "story": story,
        "state": say("state." + word(story.view.state)),
        "look": _LOOKS.get(word(story.view.state), "plain"),
        "happened": words.happened(story),
        "commands": left.commands(story),
        "cause": cause,
        "tiles": sections.tiles(story, metric, by_fold),
        "curves": sections.curve_figures(story, metric),
        "more_numbers": curves.left_out(story),
        "folds": sections.fold_table(metric, by_fold),
        "confusion": sections.confusion(story),
        "per_class": sections.per_class(story),
        "reliability": drawn,
        "calibration": calibration,
        "worst": worst,
        "searched": searched,
        "trials": trials,
        "plans": search.plans(story),
        "gallery": gallery,
        "tables": further,
        "spreads": kept.spreads(story),
        "num_left_out": pictures.num_left_out,
        "asked": asked,
        "default": default,
        "environment": surroundings.environment(story),
        "load": surroundings.load(story),
        "timeline": surroundings.timeline(story),
    }
