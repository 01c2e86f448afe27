"""Every setting of a configuration. docs/settings.md is this table: python -m cooper_jax.programs.setting_table"""

import dataclasses
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

from cooper_jax.config import READS, Config, Trainee, reads
from cooper_jax.config.processors import processors
from cooper_jax.programs.options import kind_of, meanings, shown

_HEAD = """# Settings

Every field of a configuration. The dataclasses in `cooper_jax/config/` hold all defaults; this page is made of them.

A config file sets the fields in Python; the command line sets them by their dotted names, as in
`--policy.optim.lr 2e-4` or `--no-train-reward`. A section that stands in several places is described once, under a
heading that names them all.

A program takes the settings that it reads and refuses the others. `cooper COMMAND --help` lists them, and
`--help SECTION` prints them in full.
"""
_COLUMNS = ["setting", "values", "default", "meaning", "read by"]


def markdown() -> str:
    """The table as a page."""
    return "\n".join([_HEAD, *_pages(Config(policy=Trainee(), reward=Trainee()))]) + "\n"


def _pages(cfg: Config) -> Iterator[str]:
    places: dict[type, list[str]] = {}
    values: dict[str, Any] = {}
    for name, section in _sections(cfg, ""):
        places.setdefault(section if isinstance(section, type) else type(section), []).append(name)
        values[name] = section
    for kind, names in places.items():
        title = ", ".join(f"`{name}`" for name in names) if names != [""] else "The run"
        yield from (f"## {title}", "", _cell((kind.__doc__ or "").partition("\n\n")[0]), "")
        rows, head = [_row(field, kind, {name: values[name] for name in names}) for field in _own(kind)], _COLUMNS
        if len({row[-1] for row in rows}) == 1:  # Said once, it leaves room for the rest.
            yield from (f"Read by {rows[0][-1]}.", "")
            rows, head = [row[:-1] for row in rows], _COLUMNS[:-1]
        yield from (f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
        yield ""


def _sections(section: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every section with its dotted name; one that is left out by default, as its class."""
    yield name, section
    if isinstance(section, type):
        return
    for field in dataclasses.fields(section):
        value, inner = getattr(section, field.name), f"{name}.{field.name}".lstrip(".")
        optional = _optional(get_type_hints(type(section))[field.name])
        if dataclasses.is_dataclass(value) or optional:
            yield from _sections(value if dataclasses.is_dataclass(value) else optional, inner)


def _own(kind: type) -> list[dataclasses.Field]:
    """The fields that are no sections themselves."""
    return [field for field in dataclasses.fields(kind) if not _is_section(kind, field)]


def _is_section(kind: type, field: dataclasses.Field) -> bool:
    return dataclasses.is_dataclass(get_type_hints(kind)[field.name])


def _row(field: dataclasses.Field, kind: type, sections: dict[str, Any]) -> list[str]:
    defaults = {name: _default(field, section) for name, section in sections.items()}
    readers = {name: _readers(f"{name}.{field.name}".lstrip(".")) for name in sections}
    values, told = _values(get_type_hints(kind)[field.name]), meanings(kind).get(field.name, "")
    return [_cell(text) for text in (f"`{field.name}`", values, _merged(defaults), told, _merged(readers))]


def _values(hint: Any) -> str:
    if hint is bool:
        return "yes, no"
    if _optional(hint):
        return "a section, or None"
    given = kind_of(hint)
    return given.replace("{", "").replace("}", "").replace(",", ", ") if "{" in given else given.lower()


def _optional(hint: Any) -> Any:
    """The section that a field may hold instead of None."""
    return next((kind for kind in get_args(hint) if dataclasses.is_dataclass(kind)), None)


def _default(field: dataclasses.Field, section: Any) -> str:
    if field.default_factory is processors:
        return "the processors of this process"
    if isinstance(section, type):
        return "must be given" if field.default is dataclasses.MISSING else f"`{shown(field.default)}`"
    value = getattr(section, field.name)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else f"`{shown(value)}`"


def _readers(name: str) -> str:
    return ", ".join(program for program in READS if program != "demo" and reads(program, name))


def _merged(found: dict[str, str]) -> str:
    """One text for all places, or each with the places that have it."""
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    each = [(text, [name for name in found if found[name] == text]) for text in dict.fromkeys(found.values())]
    return "; ".join(f"{text or 'none'} ({', '.join(f'`{name}`' for name in names)})" for text, names in each)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(markdown(), end="")
