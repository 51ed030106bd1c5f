"""Time and memory of each reader on its real sample: ``python benchmarks/readers.py FOLDER``.

FOLDER holds lot2.stdf.gz, g85_1101.xml, klarf12.000 and klarf18.klarf. Every file is read in a
process of its own; the first reading counts the imports that it needs, the best of 20 does not.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from camdenoise.io import read_g85, read_klarf, read_wafers, write_sinf

FILES = ("lot2.stdf.gz", "g85_1101.xml", "klarf12.000", "klarf18.klarf")
# The real KLARF samples do not list (all of) their inspected dies.
OPTIONS = {"klarf12.000": {"inspected": [[0, 0]]}, "klarf18.klarf": {"inspected": [[0, 0]]}}


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds(read, path, options):
    start = time.perf_counter()
    table = read(path, **options)
    return time.perf_counter() - start, len(table)


def measure(path):
    options = OPTIONS.get(path.name, {})
    read = read_klarf if options else read_wafers
    before = peak_mib()
    first, rows = seconds(read, path, options)
    best = min(seconds(read, path, options)[0] for _ in range(20))
    print(
        f"{path.name:14} {path.stat().st_size:8,} bytes {rows:6,} rows "
        f"first {first * 1e3:6.1f} ms, best {best * 1e3:6.1f} ms, "
        f"memory {before:.0f} -> {peak_mib():.0f} MiB",
        flush=True,
    )


def main():
    if len(sys.argv) == 3:
        return measure(Path(sys.argv[2]))
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        # There is no real SINF file; the G85 map stands in, written as one.
        write_sinf(Path(scratch, "g85_1101.sinf"), read_g85(folder / "g85_1101.xml"))
        for path in [*(folder / name for name in FILES), Path(scratch, "g85_1101.sinf")]:
            subprocess.run([sys.executable, __file__, "-", str(path)], check=True)


if __name__ == "__main__":
    main()
