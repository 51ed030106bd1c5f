"""Run the tests with the lowest versions of the packages that are supported, and with the newest.

    python tests/helpers/versions.py lowest newest --python python3.11 -- -x -q

Each gets a fresh environment in a temporary folder. "lowest" takes the lower bounds that
``pyproject.toml`` names, as they stand there; "newest" what pip finds. What stands behind ``--`` is
pytest's.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def lower_bounds() -> list[str]:
    """Turn ``name>=version`` of the package and its test extra into ``name==version``.

    >>> [bound for bound in lower_bounds() if bound.startswith("numpy")]
    ['numpy==1.26.*']
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = re.findall(r"camdenoise\[([\w,]+)\]", " ".join(extras["test"]))
    wanted = project["dependencies"] + extras["test"]
    wanted += [line for names in named for name in names.split(",") for line in extras[name]]
    bounds = [re.match(r"([\w.-]+)>=([\d.]+)", line) for line in wanted]
    return [f"{bound[1]}=={bound[2]}.*" for bound in bounds if bound]


def run(which: str, python: str, pytest_arguments: list[str]) -> int:
    """Make the environment, tell its versions, run the tests."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        inside = str(Path(folder, "bin", "python"))
        command = [inside, "-m", "pip", "install", "-q", "-e", f"{ROOT}[test]"]
        if which == "lowest":
            constraints = Path(folder, "lowest.txt")
            constraints.write_text("\n".join(lower_bounds()))
            command += ["-c", str(constraints)]
        subprocess.run(command, check=True)
        subprocess.run([inside, "-m", "pip", "freeze", "--exclude-editable"], check=True)
        return subprocess.run([inside, "-m", "pytest", *pytest_arguments], cwd=ROOT).returncode


def main() -> None:
    """Run for each; end with an error where one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="+", choices=["lowest", "newest"])
    parser.add_argument("--python", default=sys.executable)
    own, _, others = " ".join(sys.argv[1:]).partition(" -- ")
    options = parser.parse_args(own.split())
    codes = {which: run(which, options.python, others.split()) for which in options.which}
    print(codes)
    sys.exit(max(codes.values()))


if __name__ == "__main__":
    main()
