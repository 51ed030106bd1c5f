"""The command line of the study.

python -m study [run] --profile quick     run a profile and write its report
python -m study evaluate held_out ...     measure a saved model
python -m study bundle ...                train the model that the package brings along
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

from study.profiles import STAGES, load_profile, profile_names

COMMANDS = ("run", "evaluate", "bundle")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m study",
        description="Train, denoise, evaluate; write a report that opens without a network. "
        "Stopped and started again, it goes on where it was.",
        epilog="Other commands: python -m study evaluate --help, python -m study bundle --help.",
    )
    parser.add_argument(
        "--data",
        default=os.environ.get("CAMDENOISE_DATA"),
        help="real wafers: npz, a folder with wm811k_dev.npz in it, LSWMD.pkl or WM811K.pkl, or "
        "Parquet with a row per wafer (default: the environment variable CAMDENOISE_DATA; "
        "simulated wafers where that is unset)",
    )
    parser.add_argument("--profile", choices=profile_names(), default="quick")
    parser.add_argument("--only", choices=STAGES, help="run one stage and what it needs")
    parser.add_argument("--seeds", type=int, metavar="N", help="repeat with N random seeds")
    parser.add_argument("--out", type=Path, default=Path("study-out"))
    return parser


def run(options: argparse.Namespace) -> Path:
    """Run what the options ask for; return the report."""
    profile = load_profile(options.profile)
    if options.only and options.only not in profile["stages"]:
        raise ValueError(
            f"profile {options.profile} has no stage {options.only}; it has "
            f"{', '.join(profile['stages'])}."
        )
    if options.seeds is not None:
        profile["seeds"] = list(range(options.seeds))
    # Here, because they bring torch, which --help and a mistyped path need not wait for.
    from study.data import data_file

    data = data_file(options.data, options.out / "parts") if options.data else None
    from study.graph import required, run_all
    from study.plan import make_plan
    from study.report.page import write_report

    tasks = make_plan(profile, data)
    if options.only:
        tasks = required(tasks, [options.only])
    folders = run_all(tasks, options.out / "parts")
    facts = {"profile": options.profile, "data": data, "seeds": options.seeds}
    return write_report(options.out, tasks, folders, **facts)


def _start(command: str, arguments: list[str]) -> None:
    if command == "evaluate":
        from study.evaluate import main as evaluate

        evaluate(arguments)
    elif command == "bundle":
        from study.bundle import main as bundle

        bundle(arguments)
    else:
        print(f"Report: {run(_parser().parse_args(arguments))}")


def main(arguments: list[str] | None = None) -> int:
    """Start a command from the command line, `run` where none is named; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command, rest = "run", arguments
    if arguments and arguments[0] in COMMANDS:
        command, *rest = arguments
    # Announced by torch for every fit; it concerns who writes schedulers, not who runs them.
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
    try:
        _start(command, rest)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it was.", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
