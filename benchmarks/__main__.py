"""Measure tbbridge against peers and floors in the same run.

  python -m benchmarks list               what can be measured, and how long each takes
  python -m benchmarks post latency       measure these, and print what was found
  python -m benchmarks post --quick       in seconds, to see that it works; the numbers are noise
  python -m benchmarks soak --long        as long as its subject asks (soak: a million requests)
  python -m benchmarks post --json FILE   keep the result as JSON

  python -m benchmarks all                everything that needs nothing but `pip install -e '.[dev]'`, within five minutes;
                                          keeps the results in benchmarks/results/, and writes docs/benchmarks.md from them
  python -m benchmarks peers              mlflow, trackio, wandb, aim, pastalog and TensorFlow, each installed into an
                                          environment of its own below .venv-peers/, and the live page in Chromium;
                                          keeps, and writes, as above
  python -m benchmarks report             write docs/benchmarks.md and its pictures from the results that are kept

Servers listen on 127.0.0.1 at free ports, files go to the system's folder for temporary files (TMPDIR): it should be on the
kind of disk that you care about, and the machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from pathlib import Path

from benchmarks.measure import Size
from benchmarks.results import DOCS, RESULTS, Record, print_rows
from benchmarks.suite import BY_NAME, OWN, PEERS, Benchmark, measure

_LISTS = {"all": OWN, "peers": PEERS}


def main(arguments: list[str] | None = None) -> int:
    """The command line; its exit code. 1: something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks; or one of: list, all, peers, report")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const=Size.QUICK, help="in seconds; the numbers are noise")
    size.add_argument("--long", dest="size", action="store_const", const=Size.LONG, help="minutes, where the subject asks it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result of one benchmark to FILE")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where results are kept")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR", help="where the page is written")
    asked = parser.parse_args(arguments)
    size_, names = asked.size or Size.NORMAL, asked.names
    if not names:
        parser.print_help()
        return 0
    if sys.platform != "linux":
        parser.error("the benchmarks look at processes in /proc and wait with epoll, so they need Linux")
    if names == ["list"]:
        print_list()
        return 0
    if names == ["report"]:
        write_report(asked.results, asked.docs)
        return 0
    if len(names) == 1 and names[0] in _LISTS:
        failed = run_list(_LISTS[names[0]], size_, asked.results)
        write_report(asked.results, asked.docs)
        return failed
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join(BY_NAME)}")
    if asked.json and len(names) > 1:
        parser.error("--json keeps the result of one benchmark; name one")
    for name in names:
        record = measure_and_print(BY_NAME[name], size_)
        if asked.json:
            record.write(asked.json)
    return 0


def print_list() -> None:
    for title, benchmarks in (
        ("with our own extras", OWN),
        ("with peers, which are installed first, and with Chromium", PEERS),
    ):
        print(f"{title}:")
        for benchmark in benchmarks:
            print(f"  {benchmark.name:15} {benchmark.seconds:4} s  {benchmark.what}")


def measure_and_print(benchmark: Benchmark, size: Size) -> Record:
    print(f"measuring {benchmark.name} ({benchmark.what}; about {benchmark.seconds} s) ...", file=sys.stderr)
    record = measure(benchmark, size)
    facts = record.machine
    print(
        f"\n{benchmark.name}: {facts['cores']} cores of {facts['processor']}, {facts['file_system']}, Python "
        f"{record.versions['Python']}, {record.seconds:.1f} s, load before it {facts['load_before']}"
    )
    print_rows(record.result.rows)
    for peer, why in record.result.missing.items():
        print(f"  not measured: {peer}: {why}")
    return record


def run_list(benchmarks: tuple[Benchmark, ...], size: Size, folder: Path) -> int:
    """Measure all and keep the results. One that fails is said, its old result goes, and the others are still measured."""
    started = time.perf_counter()
    failed = []
    for benchmark in benchmarks:
        place = folder / f"{benchmark.name}.json"
        place.unlink(missing_ok=True)
        try:
            measure_and_print(benchmark, size).write(place)
        except Exception:  # noqa: BLE001 - whatever one dies of is said, and hours of others are not lost
            failed.append(benchmark.name)
            print(f"{benchmark.name} could not be measured:\n{traceback.format_exc()}", file=sys.stderr)
    print(f"\n{len(benchmarks)} benchmarks in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def write_report(results: Path, docs: Path) -> None:
    from benchmarks import report  # draws, so it loads matplotlib

    for path in report.write(results, docs):
        print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the servers are ended as after Ctrl-C
    sys.exit(main())
