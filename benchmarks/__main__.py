"""All benchmarks as one table, or those named (`python -m benchmarks encoder client post`). Quarter of an hour."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
from typing import Protocol, cast

from benchmarks.table import Row, print_table

NAMES = (
    "encoder",
    "client",
    "summary_writer",
    "post",
    "guard",
    "dialects",
    "reading",
    "overload",
    "clients_1000",
    "replay",
    "soak",
)


class Benchmark(Protocol):
    def run(self) -> list[Row]: ...


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(NAMES)}; none: all of them")
    chosen = parser.parse_args().name or list(NAMES)
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join(NAMES)}")
    rows: list[Row] = []
    for name in chosen:
        print(f"measuring {name} ...", file=sys.stderr)
        rows += cast("Benchmark", importlib.import_module(f"benchmarks.{name}")).run()
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {platform.release()}")
    print_table(rows)
    if any(row.target is not None and row.ratio < row.target for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
