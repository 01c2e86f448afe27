"""The `cooper` command: one sub-command a line, each a call into the file that does it."""

import errno
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Command:
    """A program: the function that runs it, in the module that is imported only then."""

    module: str
    function: str
    help: str
    options: str = ""
    """The dataclass of the module that the options fill in; empty: a config file comes first, and they override it."""
    interrupted: str = "run the same command to begin anew"
    """What to say when Ctrl-C, or a full disk, has ended it."""


_CONTINUES = "run the same command to continue from the last checkpoint, if there is one"
COMMANDS = {
    "train": Command(
        "cooper", "train", "reinforcement learning: the cooper, static and rule arms", interrupted=_CONTINUES
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
        "programs.evaluate", "evaluate", "a policy on held-out questions or benchmarks, a reward model on its own"
    ),
    "verify": Command(
        "programs.verify",
        "verify",
        "right, wrong or unknown: the rule on references and completions",
        "Verify",
        "run the same command to begin anew; the verdicts so far are beside --out, in the file that ends in .partial",
    ),
    "generate": Command("programs.generate", "generate", "completions of one prompt, to try a model", "Generate"),
    "score": Command("programs.score", "score", "a reward model's scores of completions in a file", "Score"),
    "export": Command("programs.export", "export", "write a trained model as a Hugging Face folder", "Export"),
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
        "       cooper export RUN --model policy|reward --to DIR [--dtype float32|bfloat16]\n\n"
        f"Cooper: co-optimise a policy and its reward model (arXiv 2508.05613).\n\ncommands:\n{lines}\n\n"
        "CONFIG is a Python file that defines `config`, such as configs/toy.py. Options override it by dotted names:\n"
        "  cooper train configs/toy.py --policy.optim.lr 2e-4 --steps 50\n"
        "`cooper COMMAND --help` lists the options of that command."
    )


def main(argv: list[str] | None = None) -> None:
    """Run a sub-command. Exit code 0; 1 for a mistake the user can mend, 2 for a wrong option, 130 for Ctrl-C."""
    args = sys.argv[1:] if argv is None else argv
    from cooper_jax.config import UserError

    command = COMMANDS.get(args[0]) if args else None
    afterwards = command.interrupted if command else ""
    try:
        if not args or args[0] in ("-h", "--help"):
            print(usage(), flush=True)
            sys.exit(0 if args else 2)
        if command is None:
            print(f"error: unknown command {args[0]!r}; use one of {', '.join(COMMANDS)}", file=sys.stderr)
            sys.exit(2)
        _run(args[0], command, args[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(f"error: interrupted; {afterwards}", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `cooper ... | head`: the reader has gone; say nothing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if not _no_space(error):
            raise
        print(f"error: no space left on the device: {error}; free some, and {afterwards}", file=sys.stderr)
        sys.exit(1)


def _run(name: str, command: Command, args: list[str]) -> None:
    import tyro

    path = args[0] if args and not args[0].startswith("-") else ""
    if name == "annotate" and path.endswith((".jsonl", ".parquet")):
        annotate = import_module("cooper_jax.programs.annotate")
        of_file = tyro.cli(annotate.FromFile, args=args[1:], prog="cooper annotate IN", description=command.help)
        return annotate.annotate_file(path, of_file)
    if command.options:
        kind = getattr(import_module(f"cooper_jax.{command.module}"), command.options)
        chosen = tyro.cli(kind, args=args, prog=f"cooper {name}", description=command.help)
    else:
        chosen = _configured(name, command, path, args[1:] if path else args)
    getattr(import_module(f"cooper_jax.{command.module}"), command.function)(chosen)


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
    a message of ours nothing that they say can help.
    """
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            sys.stderr.flush()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise


if __name__ == "__main__":
    entry()
