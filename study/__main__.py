"""Run the study: ``python -m study --profile quick``."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

from camdenoise.io._npz import FILE_IN_FOLDER
from study.profiles import STAGES, load_profile, profile_names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m study",
        description="Train, denoise, evaluate; write a report that opens without a network. "
        "Stopped and started again, it goes on where it was.",
    )
    parser.add_argument(
        "--data",
        default=os.environ.get("CAMDENOISE_DATA"),
        help=f"real wafers: npz, a folder with {FILE_IN_FOLDER} in it, LSWMD.pkl or WM811K.pkl, or "
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
    from study.data import data_file

    data = data_file(options.data, options.out) if options.data else None
    # Here, because they bring torch, which --help and a mistyped path need not wait for.
    from study.graph import required, run_all
    from study.plan import make_plan
    from study.report import write_report

    tasks = make_plan(profile, data)
    if options.only:
        tasks = required(tasks, [options.only])
    folders = run_all(tasks, options.out / "parts")
    about = {"profile": options.profile, "data": data, "seeds": options.seeds}
    return write_report(options.out, tasks, folders, **about)


def main(arguments: list[str] | None = None) -> int:
    """Run the study from the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    # Announced by torch for every fit; it concerns who writes schedulers, not who runs them.
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
    try:
        report = run(options)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it was.", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    print(f"Report: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
