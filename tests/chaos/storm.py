"""The bridge, its writers and its watchers, and everything that can go wrong with them; each throw of the die is seeded.

What goes wrong inside the bridge's process is sick_bridge.py's, on the way to it bad_proxy.py's; from outside come kills, full
disks, deleted and renamed runs, and damaged files. What must hold at the end is in verdict.py.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bad_proxy import BadProxy
from processes import PATIENCE_S, TBBRIDGE, Process, TensorBoard, environment, tensorboard, until
from tallies import Tally
from verdict import Training, check_erased, check_exact, check_logged, check_moved, read_series

HERE = Path(__file__).parent
_SEGMENT = re.compile(r"\d{8,}\.journal")
_CHECKPOINT = re.compile(r"checkpoint-\d{8,}")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """`folder` as a small file system of its own; False if that is not permitted, and then it is a plain folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    is_mounted = subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Bridge:
    """The bridge's process, started again however it ended."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, logdir: Path, seed: str, tally: Tally) -> None:
        self.logdir = logdir
        self.port = 0
        self.ended: list[Process] = []
        self._stack, self._folder, self._seed, self._tally = stack, folder, seed, tally
        self._starts = 0

    def start(self) -> None:
        """With no hand needed: what a start cannot do because the disk refuses, the next one can."""
        for _ in range(30):
            process = self.launch()
            with process.news:
                process.news.wait_for(lambda p=process: p.ended or _address(p), PATIENCE_S)
            if address := _address(process):
                self.port = int(address.rpartition(":")[2])
                return
            process.wait()
            assert "cannot be" in process.output, f"the bridge did not start, and not because of the disk:\n{process.output}"
            self._tally.faults["start that the disk refused"] += 1
            self.ended.append(process)
        raise AssertionError(f"the bridge does not start any more:\n{process.output}")

    def launch(self) -> Process:
        """The process, which may take a second until it serves."""
        self._starts += 1
        flags = ["--logdir", str(self.logdir), "--port", "0", "--segment-bytes", "300000", "--veil-s", "2"]
        env = environment(CHAOS_SEED=f"{self._seed}/{self._starts}", CHAOS_FOLDER=str(self._folder))
        process = Process([sys.executable, str(HERE / "sick_bridge.py"), "serve", *flags], env=env)
        self.process = self._stack.enter_context(process)
        return process

    def end(self, how: signal.Signals) -> int:
        code = self.process.end(how)
        self.ended.append(self.process)
        return code

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self, pattern: str) -> list[str]:
        """Of all that it ever said."""
        all_of_them = dict.fromkeys((*self.ended, self.process))  # the last one may have ended
        return [line for process in all_of_them for line in process.lines if re.search(pattern, line)]

    def ask(self, method: str, path: str, body: object = None) -> int:
        """The status of a request made straight to the bridge; 0 if there was no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        else:
            return answer.status
        finally:
            connection.close()


def _address(process: Process) -> str:
    found = (re.search(r"http://[0-9.]+:\d+", line) for line in list(process.lines))
    return next((match[0] for match in found if match), "")


@dataclass(slots=True)
class Seat:
    """A writer that is replaced whenever it was killed."""

    name: str
    script: str
    ack: str
    runs: Sequence[str]
    lives: list[Training] = field(default_factory=list)
    process: Process | None = None


class Crowd:
    """The writers."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, url: str, seed: str) -> None:
        self.seats: list[Seat] = []
        self.stop = folder / "stop"
        self._stack, self._folder, self._url, self._seed = stack, folder, url, seed

    def add(self, name: str, script: str, ack: str, *runs: str) -> Seat:
        seat = Seat(name, script, ack, runs)
        self.seats.append(seat)
        self.begin(seat)
        return seat

    def begin(self, seat: Seat) -> None:
        tag = f"{seat.name}.{len(seat.lives)}"
        training = Training(tag, seat.runs, self._folder / f"notes.{tag}", whole=seat.script == "raw_writer.py")
        arguments = [self._url, tag, str(training.notes), str(self.stop), f"{self._seed}/{tag}", seat.ack, *seat.runs]
        env = environment(XDG_CACHE_HOME=str(self._folder / "cache"))
        seat.process = self._stack.enter_context(Process([sys.executable, str(HERE / seat.script), *arguments], env=env))
        seat.lives.append(training)

    def kill(self, seat: Seat) -> None:
        assert seat.process is not None
        seat.process.end(signal.SIGKILL)
        self.begin(seat)

    def finish(self) -> None:
        """Let each end by itself, once its last batch is acknowledged."""
        self.stop.touch()
        for seat in self.seats:
            assert seat.process is not None
            assert seat.process.wait() == 0, f"writer {seat.name} gave up:\n{seat.process.output[-2000:]}"


class Storm:
    """Everything together; `blow` for a while, then `check`."""

    def __init__(self, stack: contextlib.ExitStack, tmp_path: Path, tally: Tally) -> None:
        self.tally = tally
        self.chance = random.Random(tally.seed)
        self.folder = tmp_path / "about"
        self.folder.mkdir()
        self.is_small = stack.enter_context(small_disk(tmp_path / "disk"))
        self.disk = tmp_path / "disk"
        self.logdir = self.disk / "runs"
        self.logdir.mkdir()
        self.bridge = Bridge(stack, self.folder, self.logdir, tally.seed, tally)
        self.bridge.start()
        self.proxy = stack.enter_context(BadProxy(tally.seed))
        self.proxy.port = self.bridge.port
        self._stack = stack
        self.watchers = [self._watcher(fast) for fast in ("true", "false")]
        self.crowd = Crowd(stack, self.folder, self.proxy.url, tally.seed)
        self.exact = [
            self.crowd.add("raw", "raw_writer.py", "journaled", "own/raw", "shared"),
            self.crowd.add("sync", "raw_writer.py", "written", "own/sync", "shared"),
            self.crowd.add("client", "client_writer.py", "journaled", "own/client", "shared"),
        ]
        self.erased = self.crowd.add("erased", "raw_writer.py", "journaled", "by/hand", "by/us")
        self.moving = self.crowd.add("moving", "raw_writer.py", "journaled", "moving/now")
        self.erased_at = dict.fromkeys(self.erased.runs, 0.0)
        self.moved: list[str] = []

    def blow(self, seconds: float) -> None:
        """One trouble after the other."""
        troubles: dict[Callable[[], None], int] = {
            self.kill_bridge: 6,
            self.stop_bridge: 2,
            self.kill_bridge_while_it_starts: 2,
            self.kill_bridge_while_it_stops: 2,
            self.kill_writer: 3,
            self.fill_disk: 3,
            self.erase_run: 2,
            self.delete_run: 2,
            self.rename_run: 2,
            self.look: 2,
        }
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.chance.uniform(0, 0.5))  # no state to wait for: the next trouble may fall anywhere
            [trouble] = self.chance.choices(list(troubles), list(troubles.values()))
            trouble()

    def kill_bridge(self) -> None:
        self.tally.faults["SIGKILL of the bridge"] += 1
        assert self.bridge.end(signal.SIGKILL) == -signal.SIGKILL, self.bridge.process.output
        if self.chance.random() < 0.3:
            self.damage_checkpoint()
        self._start()

    def stop_bridge(self) -> None:
        self.tally.faults["SIGTERM of the bridge"] += 1
        assert self.bridge.end(signal.SIGTERM) == 0, self.bridge.process.output
        self._start()

    def kill_bridge_while_it_starts(self) -> None:
        self.bridge.end(signal.SIGKILL)
        self.proxy.port = 0
        for _ in range(self.chance.choice((1, 1, 3))):
            self.tally.faults["SIGKILL while the bridge starts"] += 1
            self.bridge.launch()
            time.sleep(self.chance.uniform(0.3, 1.5))  # there is nothing to wait for: the replay may be anywhere
            self.bridge.end(signal.SIGKILL)
        self._start()

    def kill_bridge_while_it_stops(self) -> None:
        self.tally.faults["SIGKILL while the bridge stops"] += 1
        self.bridge.process.process.terminate()
        time.sleep(self.chance.uniform(0, 0.2))
        self.bridge.end(signal.SIGKILL)
        self._start()

    def _start(self) -> None:
        self.proxy.port = 0
        self.bridge.start()
        self.proxy.port = self.bridge.port

    def damage_checkpoint(self) -> None:
        """The newest, as long as there is the one before it; there is never more damage at one time than copies."""
        present = sorted(path for path in self._state.iterdir() if _CHECKPOINT.fullmatch(path.name))
        if len(present) > 1:
            self.tally.faults[f"checkpoint {damage(present[-1], self.chance)[0]}"] += 1

    @property
    def _state(self) -> Path:
        return self.logdir / ".tbbridge"

    def kill_writer(self) -> None:
        self.tally.faults["SIGKILL of a writer"] += 1
        self.crowd.kill(self.chance.choice(self.crowd.seats))

    def fill_disk(self) -> None:
        if not self.is_small:
            return
        self.tally.faults["file system full"] += 1
        ballast = self.disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(65536))
        time.sleep(self.chance.uniform(0.05, 0.4))
        ballast.unlink()

    def erase_run(self) -> None:
        self.tally.faults["run's folder deleted"] += 1
        shutil.rmtree(self.logdir / "by/hand", ignore_errors=True)
        self.erased_at["by/hand"] = time.monotonic()

    def delete_run(self) -> None:
        self.tally.faults["run deleted"] += 1
        until(lambda: self.bridge.ask("DELETE", "/api/v1/runs?run=by/us") in (200, 404), "the run is deleted")
        self.erased_at["by/us"] = time.monotonic()

    def look(self) -> None:
        """The doctor beside a bridge at work finds no damage; that the disk is small it may say."""
        self.tally.faults["doctor beside the bridge"] += 1
        done = subprocess.run([TBBRIDGE, "doctor", str(self.logdir), "--json"], capture_output=True, text=True)
        problems = [
            one for one in json.loads(done.stdout)["findings"] if one["level"] == "problem" and one["subject"] != "disk"
        ]
        assert problems == [], done.stderr

    def rename_run(self) -> None:
        self.tally.faults["run renamed"] += 1
        to = f"moving/{len(self.moved):04d}"
        body = {"run": "moving/now", "to": to}
        # 404: nothing is there just now; 409: a try that was not answered has done it
        until(lambda: self.bridge.ask("POST", "/api/v1/runs/rename", body) in (200, 404, 409), "the run is renamed")
        self.moved.append(to)

    def check(self) -> None:
        """Calm, and then: nothing acknowledged is missing, twice, out of order or half; both watchers show it."""
        (self.folder / "calm").touch()
        self.proxy.calm = True
        self.crowd.finish()
        until(lambda: self.bridge.ask("GET", "/readyz") == 200, "the bridge is ready")
        self.bridge.ask(
            "POST", "/api/v1/write?ack=written", {"runs": [{"run": "end", "scalars": [{"tag": "x", "values": [1]}]}]}
        )
        shown = [(run, tag) for seat in self.exact for life in seat.lives for run in life.runs for tag in life.tags]
        found = read_series(self.logdir)
        if f"DirectoryDeletedError: Directory {self.logdir / 'by/hand'} has been" in self.watchers[1].traceback:
            # Nothing of ours: it does not survive a folder that vanishes while it reads the run for the first time.
            self.tally.faults["TensorBoard ended by a run's folder deleted"] += 1
            self.watchers[1] = self._watcher("false")
        for watcher in self.watchers:
            for run, tag in shown:
                expected = found.get((run, tag), [])
                self._until_shown(watcher, run, tag, expected)
        assert self.bridge.end(signal.SIGTERM) == 0, self.bridge.process.output
        found = read_series(self.logdir)
        for seat in self.crowd.seats:
            for life in seat.lives:
                self.tally.batches += len(life.batches)
                if seat is self.erased:
                    self.tally.points += check_erased(found, life, self.erased_at)
                elif seat is self.moving:
                    life.places = [*self.moved, "moving/now"]
                    self.tally.points += check_moved(found, life)
                else:
                    self.tally.points += check_exact(found, life)
                    if life.whole:
                        self.tally.records += check_logged(self.logdir, found, life)
        assert self.bridge.lines("acknowledged entries are lost") == [], "an alarm, and nothing was lost"
        assert self.bridge.lines("Traceback|unexpected error") == [], "\n".join(self.bridge.lines(""))
        self.tally.faults.update(self.proxy.faults)
        self.tally.faults.update((self.folder / "faults").read_text().splitlines() if (self.folder / "faults").exists() else [])
        self.tally.failures = 0

    def _watcher(self, fast: str) -> TensorBoard:
        return self._stack.enter_context(tensorboard(self.logdir, fast))

    def _until_shown(self, watcher: TensorBoard, run: str, tag: str, expected: list[tuple[int, float]]) -> None:
        def shown() -> list[tuple[int, float]]:
            return [(step, value) for _, step, value in watcher.scalars(run, tag)]

        def all_of_it() -> bool:
            return len(shown()) >= len(expected)

        try:  # a machine that is busy with something else needs patience; a reader that stumbled never comes back
            until(all_of_it, "all of it is shown", 3 * PATIENCE_S)
        except AssertionError as error:
            have = f"{len(shown())} of {len(expected)} points of {run} {tag}"
            kept = self.folder / "kept"  # the small disk goes with the test
            shutil.copytree(self.logdir / run, kept)
            name = f"TensorBoard {self.watchers.index(watcher)} (0: data server)"
            told = f"{name} shows {have}; the run's files are in {kept}\n{watcher.traceback}"
            raise AssertionError(told) from error
        assert shown() == expected, f"TensorBoard shows something else for {run} {tag}"


def damage(path: Path, chance: random.Random, *, used: int | None = None) -> tuple[str, int]:
    """Flip a byte of the file, or cut it, within the first `used` bytes (None: anywhere); says which, and where."""
    size = path.stat().st_size if used is None else used
    at = chance.randrange(max(1, size))
    if chance.random() < 0.5 or size == 0:
        os.truncate(path, at)
        return "cut", at
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ (1 << chance.randrange(8))]))
    return "flipped", at


def segments(state: Path) -> list[Path]:
    return sorted(path for path in state.iterdir() if _SEGMENT.fullmatch(path.name))


def metric(url: str, name: str) -> float:
    with contextlib.closing(http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=30)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith((name + " ", name + "_total ")))
