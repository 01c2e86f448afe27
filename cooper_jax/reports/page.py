"""One HTML file that needs nothing else: figures and texts as JSON inside it, drawn by the scripts beside this file."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cooper_jax.config import visible
from cooper_jax.reports import classifier, figures, findings, novelty, texts
from cooper_jax.reports.arms import Arm
from cooper_jax.reports.ran import Ran

SCRIPTS = ("dom.js", "charts.js", "overview.js", "samples.js", "pairs.js", "main.js")
_HERE = Path(__file__).parent / "template"


def content(runs: Sequence[Ran], arms: Sequence[Arm]) -> dict[str, Any]:
    """All that the page shows."""
    tables = [[runs[number].samples for number in arm.runs if len(runs[number].samples["step"])] for arm in arms]
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": version("cooper-jax"),
        "program": runs[0].program,
        "arms": [{"name": arm.name, "colour": arm.colour, "runs": arm.runs} for arm in arms],
        "runs": [_about(run, number, arms) for number, run in enumerate(runs)],
        "findings": [findings.of_arm(runs, arm.runs) for arm in arms],
        "charts": figures.charts(runs, arms),
        "classifier": [classifier.by_stretch(some) for some in tables],
        "refusals": [figures.refusals(runs, arm) for arm in arms],
        "novelty": [novelty.of_arm(some) if some else None for some in tables],
        "time": [figures.time(runs, arm) for arm in arms],
        "samples": texts.samples(runs),
        "pairs": texts.pairs(runs),
        "setup": _setup(runs, arms),
    }


def _about(run: Ran, number: int, arms: Sequence[Arm]) -> dict[str, Any]:
    arm = next(place for place, each in enumerate(arms) if number in each.runs)
    alone = len(arms[arm].runs) == 1
    name = arms[arm].name if alone else f"{arms[arm].name}, seed {run.seed}"
    return {
        "dir": run.dir,
        "name": name,
        "arm": arm,
        "seed": run.seed,
        "last": run.last,
        "steps": run.steps,
        "checkpoints": run.checkpoints,
        "inputs": run.inputs,
        "starts": run.starts,
        "notes": run.notes,
    }


def _setup(runs: Sequence[Ran], arms: Sequence[Arm]) -> dict[str, Any]:
    """Settings by name, one value where all runs agree, else one of each run; and in what the arms differ."""
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    settings = []
    for name in names:
        values = [_value(run.settings.get(name)) for run in runs]
        settings.append([name, values[:1] if len(set(values)) == 1 else values])
    differs = [[name, [_value(arm.differs[name]) for arm in arms]] for name in arms[0].differs]
    return {"settings": settings, "differs": differs}


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def harmless(value: Any) -> Any:
    """`value` for JSON, every text in it `visible`."""
    if isinstance(value, dict):
        return {harmless(str(name)): harmless(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [harmless(item) for item in value]
    return visible(value, keep="\n\t") if isinstance(value, str) else value


def in_script(value: Any) -> str:
    """JSON that may stand in a script element of a page: ASCII, and without the signs that end one."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page(shown: dict[str, Any]) -> str:
    """The page. Its policy lets nothing load, and no script run but its own, which is named by its hash."""
    script = "\n".join((_HERE / name).read_text() for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    title = " · ".join(arm["name"] for arm in shown["arms"])
    parts = {
        "TITLE": html.escape(visible(f"{title} — Cooper report")),
        "POLICY": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data: blob:",
        "STYLE": (_HERE / "page.css").read_text(),
        "DATA": in_script(harmless(shown)),
        "SCRIPT": script,
    }
    made = (_HERE / "page.html").read_text()
    before, *rest = made.split("{{")
    return before + "".join(parts[name] + after for name, _, after in (part.partition("}}") for part in rest))
