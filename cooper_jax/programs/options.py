"""What a program's command line takes: its own settings alone, with help that fits a screen or three."""

import dataclasses
import difflib
import re
import shutil
import textwrap
from collections.abc import Container, Iterator, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import docstring_parser

from cooper_jax.config import READS, Config, UserError, reads

FIRST: dict[str, tuple[str, ...]] = {
    "sft": (
        "sft.data", "sft.init", "sft.dir", "sft.steps", "sft.batch", "sft.optim.lr", "sft.eval_every", "sft.task",
        "rollout.completion_len", "seed",
    ),
    "annotate": (
        "annotate.dir", "policy.init", "data.source", "annotate.completions", "annotate.temperature", "annotate.judge",
        "annotate.server.url", "annotate.server.model", "annotate.mesh.init", "annotate.rows",
    ),
    "fit-reward": (
        "fit.dir", "fit.data", "fit.init", "fit.epochs", "fit.steps", "fit.batch", "fit.balanced", "fit.optim.lr",
        "scoring.length", "reward.micro_batch",
    ),
    "train": (
        "policy.init", "reward.init", "data.source", "dir", "steps", "reward_source", "train_reward", "rollout.prompts",
        "rollout.group", "policy.optim.lr",
    ),
    "evaluate": (
        "dir", "evaluation.sets", "evaluation.limit", "evaluation.questions", "evaluation.samples",
        "evaluation.temperatures", "evaluation.top_p", "rollout.completion_len", "verifier.extract", "seed",
    ),
    "demo": (
        "steps", "reward.optim.lr", "verifier.blind_by", "verifier.blind_share", "evaluation.questions",
    ),
}  # fmt: skip
"""The settings that matter first: ten, with what a program has of its own."""
_OPTION = re.compile(r"--([A-Za-z][\w.-]*)(?:=.*)?$", re.DOTALL)


class OptionError(UserError):
    """An option that the program does not take."""

    exit_code = 2


class Setting(NamedTuple):
    """One setting of a configuration."""

    name: str
    """Dotted, as in code: policy.micro_batch."""
    value: Any
    hint: Any
    about: str

    @property
    def option(self) -> str:
        """As it is typed."""
        return f"--{self.name.replace('_', '-')}"


def settings(section: Any, prefix: str = "", skip: str = "") -> Iterator[Setting]:
    """Every setting of a configuration, or of one of its sections, those of nested sections included; `skip` names a
    field to leave out."""
    hints = get_type_hints(type(section))
    for field in dataclasses.fields(section):
        value, name = getattr(section, field.name), prefix + field.name
        if field.name == skip:
            continue
        if dataclasses.is_dataclass(value):
            yield from settings(value, f"{name}.")
        else:
            yield Setting(name, value, hints[field.name], meanings(type(section)).get(field.name, ""))


def check(program: str, args: Sequence[str], cfg: Config, own: Sequence[str] = ()) -> None:
    """Raise OptionError where `args` hold an option that `program` does not take; `own` are those beside the settings.

    An option of another program names the programs that take it; one that nobody takes, what it may have meant.
    """
    known = {setting.name: setting for setting in settings(cfg)}
    mine = {setting.option for name, setting in known.items() if reads(program, name)} | {f"--{name}" for name in own}
    for arg in args:
        found = _OPTION.match(arg)
        if not found:
            continue
        name = found[1].replace("-", "_")
        positive = re.sub(r"(^|\.)no_(?=[^.]+$)", r"\1", name)
        name = name if name in known else positive
        if name in (*(each.replace("-", "_") for each in own), "help"):
            continue
        setting = next((known[part] for part in _prefixes(name) if part in known), None)
        if setting is None:
            close = difflib.get_close_matches(f"--{found[1]}", sorted(mine), 3)
            hint = f"did you mean {' or '.join(close)}" if close else f"`cooper {program} --help` lists what there is"
            raise OptionError(f"cooper {program} has no option --{found[1]}; {hint}")
        if not reads(program, setting.name):
            others = [f"cooper {other}" for other in READS if other != "demo" and reads(other, setting.name)]
            raise OptionError(
                f"cooper {program} does not read {setting.option}; {' and '.join(others) or 'no program'} "
                f"{'does' if len(others) < 2 else 'do'}. Leave it out, or set it in the config file"
            )


def _prefixes(name: str) -> list[str]:
    """A setting that is None may be given by the parts of what it could be: a.b.c, then a.b."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def help_text(
    program: str,
    about: str,
    cfg: Config,
    config_path: str,
    topic: str = "",
    own: Sequence[Setting] = (),
    hidden: Container[str] = (),
) -> str:
    """What `--help` prints: the settings that matter first, then every section in order of use, a line a setting.

    With a `topic`, a setting or a section by its dotted name, or "all": these in full. `own` are settings beside those
    of `cfg`; `hidden` those that the program sets itself.
    """
    found = [setting for name in READS[program] for setting in settings(cfg) if _within(setting.name, name)]
    mine = [setting for setting in dict.fromkeys((*own, *found)) if setting.name not in hidden]
    width = max(80, shutil.get_terminal_size((100, 24)).columns)
    if topic:
        wanted = topic.removeprefix("--").replace("-", "_")
        chosen = [setting for setting in mine if topic == "all" or _within(setting.name, wanted)]
        if not chosen:
            raise OptionError(f"cooper {program} has no setting {topic}; `cooper {program} --help` lists them")
        return "\n\n".join(_whole(setting, width) for setting in chosen)
    return "\n".join(_overview(program, about, cfg, config_path, mine, own, width))


def _overview(
    program: str, about: str, cfg: Config, config_path: str, mine: Sequence[Setting], own: Sequence[Setting], width: int
) -> Iterator[str]:
    yield from (f"usage: cooper {program} CONFIG [--option value ...]", "", f"{about[0].upper()}{about[1:]}.", "")
    yield f"Defaults are those of {config_path}. In full: cooper {program} --help SECTION, or --help all."
    first = [setting for name in FIRST[program] for setting in mine if setting.name == name]
    seen = {*own, *first}
    for title, some in (("Of this program", own), ("First", first)):
        yield from ("", title, *(_line(setting, width) for setting in some)) if some else ()
    rest = [setting for setting in mine if setting not in seen]
    sections = {
        name: [setting for setting in rest if setting.name.startswith(f"{name}.")]
        for name in dict.fromkeys(setting.name.partition(".")[0] for setting in rest if "." in setting.name)
    }
    if program == "demo":  # It reads what five programs read.
        yield from ("", "Sections", *(_section_line(cfg, name, len(some), width) for name, some in sections.items()))
    else:
        for name, group in sections.items():
            yield from ("", f"{name}: {_sentence(_section_about(cfg, name))}", *_lines(cfg, group, width))
    yield from ("", "The run", *(_line(setting, width) for setting in rest if "." not in setting.name))


def _within(name: str, section: str) -> bool:
    return f"{name}.".startswith(f"{section}.")


def _lines(cfg: Config, group: Sequence[Setting], width: int) -> Iterator[str]:
    """A line a setting; of a section inside the section, one line in all."""
    nested: dict[str, list[Setting]] = {}
    for setting in group:
        if setting.name.count(".") == 1:
            yield _line(setting, width)
        else:
            nested.setdefault(".".join(setting.name.split(".")[:2]), []).append(setting)
    for name, some in nested.items():
        yield _section_line(cfg, name, len(some), width)


def _section_line(cfg: Config, name: str, count: int, width: int) -> str:
    about = _sentence(_section_about(cfg, name))
    return _cut(f"  --{name.replace('_', '-') + '.*':<28} {f'{count} settings':<18} {about}", width)


def _line(setting: Setting, width: int) -> str:
    return _cut(f"  {setting.option:<30} {shown(setting.value):<18} {_sentence(setting.about)}", width)


def _whole(setting: Setting, width: int) -> str:
    head = f"{setting.option} {kind_of(setting.hint)}  (default: {shown(setting.value)})"
    return "\n".join([head, *textwrap.wrap(setting.about, width - 6, initial_indent="    ", subsequent_indent="    ")])


def shown(value: Any) -> str:
    """A value as help shows it, on one line; a long text is cut."""
    if isinstance(value, tuple):
        return " ".join(map(shown, value)) or "none"
    if isinstance(value, str):
        text = " ".join(value.split())
        return (text if len(text) <= 40 else f"{text[:39]}…") or '""'
    return str(value)


def kind_of(hint: Any) -> str:
    """What may be given for a setting of the type `hint`."""
    if get_origin(hint) is Literal:
        return "{" + ",".join(map(str, get_args(hint))) + "}"
    if get_origin(hint) is tuple:
        return f"{kind_of(get_args(hint)[0])} ..."
    return (
        getattr(hint, "__name__", str(hint)).upper().replace(" | NONE", "|None") if hint is not bool else "(--no-...)"
    )


def _sentence(text: str) -> str:
    """The first sentence, without its full stop."""
    return re.split(r"(?<=\w)\. |\.$|: (?=\n)", " ".join(text.split()), maxsplit=1)[0]


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _section_about(cfg: Config, name: str) -> str:
    section = cfg
    for part in name.split("."):
        section = getattr(section, part)
    return (type(section).__doc__ or "").partition("\n")[0]


@cache
def meanings(kind: type) -> dict[str, str]:
    """What the docstring behind each field says."""
    described = docstring_parser.parse_from_object(kind).params
    return {param.arg_name: " ".join((param.description or "").split()) for param in described}
