"""The `cooper` command: one sub-command a line, each a call into the file that does it."""

import errno
import os
import sys
import traceback
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, NoReturn


@dataclass(frozen=True)
class Command:
    """A program: the function that runs it, in the module that is imported only then."""

    module: str
    function: str
    help: str
    options: str = ""
    """The dataclass of the module that the options fill in; empty: a config file comes first, and they override it."""
    meshed: bool = True
    """Whether it runs on devices, in several processes where there are."""
    interrupted: str = "run the same command to begin anew"
    """What to say when Ctrl-C, or a full disk, has ended it."""


INTERRUPTED = 130
"""Exit code after Ctrl-C."""
LOST = 75
"""Exit code of a process that fails beside others, or that hung: `EX_TEMPFAIL`, for launchers to start it again."""
_CONTINUES = "run the same command to continue from the last checkpoint, if there is one"
COMMANDS = {
    "train": Command(
        "cooper", "train", "reinforcement learning: the cooper, static, rule and hybrid arms", interrupted=_CONTINUES
    ),
    "sft": Command("programs.sft", "sft", "warm start: imitate worked solutions", interrupted=_CONTINUES),
    "annotate": Command(
        "programs.annotate",
        "annotate",
        "label completions where rule and judge agree",
        interrupted="run the same command to continue; what the judge has said is kept",
    ),
    "fit-reward": Command(
        "programs.fit_reward", "fit_reward", "fit the reward model on labelled completions", interrupted=_CONTINUES
    ),
    "evaluate": Command(
        "programs.evaluate",
        "evaluate",
        "a policy on held-out questions or benchmarks, a reward model on its own",
        interrupted="run the same command to continue; what was evaluated before is kept",
    ),
    "verify": Command(
        "programs.verify",
        "verify",
        "right, wrong or unknown: the rule on references and completions",
        "Verify",
        False,
        "run the same command to begin anew; the verdicts so far are beside --out, in the file that ends in .partial",
    ),
    "watch": Command("programs.watch", "watch", "what a run does, while another process writes it", "Watch", False),
    "generate": Command("programs.generate", "generate", "completions of one prompt, to try a model", "Generate"),
    "score": Command("programs.score", "score", "a reward model's scores of completions in a file", "Score"),
    "export": Command("programs.export", "export", "write a trained model as a Hugging Face folder", "Export"),
    "inspect": Command(
        "programs.inspect", "inspect", "what a checkpoint holds, and what sets two apart", "Inspect", False
    ),
    "report": Command(
        "programs.report", "report", "what runs did: one HTML page, and pictures beside it", "Report", False
    ),
    "demo": Command(
        "programs.demo",
        "demo",
        "the paper's figure on the built-in task: three arms, a table and a picture",
        interrupted=_CONTINUES,
    ),
}


def usage() -> str:
    """What `cooper --help` prints."""
    lines = "\n".join(f"  {name:<12} {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: cooper COMMAND CONFIG [--option value ...]\n"
        "       cooper verify ROWS.jsonl --out VERDICTS.jsonl\n"
        "       cooper generate MODEL --prompt TEXT [--n 4 --temperature 0.7 --max-new 256 --json]\n"
        "       cooper score MODEL ROWS.jsonl --out SCORES.jsonl\n"
        "       cooper export RUN --model policy|reward --to DIR [--dtype float32|bfloat16]\n"
        "       cooper inspect RUN [OTHER] [--step N --json]\n"
        "       cooper report RUN [RUN ...] [--out report.html]\n"
        "       cooper watch RUN\n\n"
        f"Cooper: co-optimise a policy and its reward model (arXiv 2508.05613).\n\ncommands:\n{lines}\n\n"
        "CONFIG is a Python file that defines `config`, such as configs/toy.py. Options override it by dotted names:\n"
        "  cooper train configs/toy.py --policy.optim.lr 2e-4 --steps 50\n"
        "`cooper COMMAND --help` lists the options of that command."
    )


def main(argv: list[str] | None = None) -> None:
    """Run a sub-command. Exit code 0; 1 for a mistake the user can mend, 2 for a wrong option, 75 for a process that
    hung, or failed beside others, 130 for Ctrl-C."""
    args = sys.argv[1:] if argv is None else argv
    from cooper_jax.config import UserError
    from cooper_jax.config.errors import paths_named
    from cooper_jax.run import signals

    command = COMMANDS.get(args[0]) if args else None
    afterwards = command.interrupted if command else ""
    try:
        if not args or args[0] in ("-h", "--help"):
            print(usage(), flush=True)
            sys.exit(0 if args else 2)
        if command is None:
            _end(f"unknown command {args[0]!r}; use one of {', '.join(COMMANDS)}", 2)
        with signals.heeded(partial(_end_at_once, afterwards)), paths_named():
            _run(args[0], command, args[1:])
    except UserError as error:
        _end(str(error), error.exit_code, error.agreed)
    except KeyboardInterrupt:
        _end(f"interrupted; {afterwards}", INTERRUPTED)
    except BrokenPipeError:  # `cooper ... | head`: the reader has gone; say nothing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if _no_space(error):
            _end(f"no space left on the device: {error}; free some, and {afterwards}", 1)
        if not _others():
            raise
        if type(error).__name__ != "JaxRuntimeError":
            _print_traceback()
        first = f"{str(error).strip() or type(error).__name__}".splitlines()[0]
        _end(f"this process, or one that it needs, is lost ({first:.300}); {afterwards}", LOST)


def _end(said: str, code: int, agreed: bool = False) -> NoReturn:
    """Say what went wrong, and leave; what all processes know, only the first says."""
    from cooper_jax.config import visible

    others = _others()
    if not agreed or others is None or others.is_main():
        print(f"error: {visible(said)}", file=sys.stderr, flush=True)
    if others and not agreed:
        others.leave(code)
    sys.exit(code)


def _print_traceback() -> None:
    """Of the error that is being handled. It may quote text of models, servers and data, which is shown `visible`."""
    from cooper_jax.config import visible

    print(visible(traceback.format_exc(), keep="\n\t"), end="", file=sys.stderr, flush=True)


def _end_at_once(afterwards: str) -> NoReturn:
    """What `_end` does after Ctrl-C, from any thread and amid anything: nothing is flushed, and nothing closed."""
    if os.isatty(1):
        os.write(1, b"\x1b[?25h")  # A progress bar hides the cursor.
    os.write(2, f"error: interrupted; {afterwards}\n".encode())
    os._exit(INTERRUPTED)


def _others() -> Any:
    """`mesh.hosts` where this process is one of several, else None."""
    hosts = sys.modules.get("cooper_jax.mesh.hosts")
    return hosts if hosts and hosts.joined_others() else None


def _run(name: str, command: Command, args: list[str]) -> None:
    import tyro

    from cooper_jax import config

    path = args[0] if args and not args[0].startswith("-") else ""
    of_rows = path.endswith((".jsonl", ".parquet")) or (path != "" and config.path(path).is_dir())
    if name == "annotate" and of_rows:
        annotate = import_module("cooper_jax.programs.annotate")
        of_file = tyro.cli(annotate.FromFile, args=args[1:], prog="cooper annotate IN", description=command.help)
        return annotate.annotate_file(path, of_file)
    if command.options:
        kind = getattr(import_module(f"cooper_jax.{command.module}"), command.options)
        chosen = tyro.cli(kind, args=args, prog=f"cooper {name}", description=command.help)
    else:
        chosen = _configured(name, command, path, args[1:] if path else args)
    program = getattr(import_module(f"cooper_jax.{command.module}"), command.function)
    if command.meshed:
        hosts = import_module("cooper_jax.mesh.hosts")
        hosts.start()
        hosts.hush()
    else:
        os.environ["JAX_PLATFORMS"] = "cpu"  # Accelerators are left to the run that has them.
    program(chosen)


def _configured(name: str, command: Command, path: str, args: list[str]) -> Any:
    """What a program with a config file is called with: the configuration, overridden by the options."""
    import tyro

    from cooper_jax import config
    from cooper_jax.programs import options

    asked = next((i for i, arg in enumerate(args) if arg in ("-h", "--help")), None)
    default = name == "demo" or asked is not None
    config.require(bool(path) or default, f"cooper {name} needs a config file first: cooper {name} configs/toy.py")
    start = config.load(path or config.builtin("toy.py"))
    demo = import_module("cooper_jax.programs.demo") if name == "demo" else None
    own = list(options.settings(demo.Demo(start), skip="config")) if demo else []
    if asked is not None:
        topic = args[asked + 1] if asked + 1 < len(args) else ""
        hidden = demo.INSTEAD if demo else ()
        print(options.help_text(name, command.help, start, path or "configs/toy.py", topic, own, hidden), flush=True)
        sys.exit(0)
    options.check(name, args, start, [setting.name for setting in own])
    given: Any = demo.Demo(start) if demo else start
    chosen = tyro.cli(
        type(given),
        default=given,
        args=args,
        prog=f"cooper {name} CONFIG",
        description=command.help,
        config=(tyro.conf.AvoidSubcommands,),  # A section that may be None is one of the options, not a command.
    )
    if demo:
        demo.check(chosen, start)
    return chosen


def _no_space(error: BaseException) -> bool:
    return (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left on device" in str(error)


def entry() -> None:
    """What the `cooper` command calls: `main`, and an error message that stays the last word.

    Threads of a library may still complain while the interpreter shuts down (reads of a damaged checkpoint do); after
    a message of ours nothing that they say can help. After Ctrl-C it is not shut down: it would wait for what compiles.
    """
    try:
        main()
    except Exception:
        _print_traceback()
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        if stop.code:
            sys.stderr.flush()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise


if __name__ == "__main__":
    entry()
