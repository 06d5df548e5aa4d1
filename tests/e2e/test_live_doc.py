"""docs/live.md against a real bridge: its commands and its program print what is written, and its numbers are the limits."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

from processes import Process, environment, post, until

from tbbridge import limits

PAGE = (Path(__file__).parents[2] / "docs" / "live.md").read_text()
ADDRESS = "http://127.0.0.1:6007"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def write(url: str, **more: object) -> None:
    column = {"tag": "loss/train", "steps": [7], "values": [0.25], "wall_times": [1794902400.5]}
    post(f"{url}/api/v1/write", {"runs": [{"run": "digits/lr=1e-3", "scalars": [column], **more}]})


def test_the_commands_and_the_program_show_the_point(bridge: str) -> None:
    write(bridge)
    (commands,) = blocks("sh")
    (program,) = blocks("python")
    watch, curl = (shlex.split(line, comments=True) for line in commands.strip().splitlines())
    curl = [part.replace(ADDRESS, bridge) for part in curl]
    place = Path(sys.executable).parent / watch[0]
    with (
        Process([str(place), *watch[1:], "--until-end"], env=environment(TBBRIDGE_URL=bridge)) as watching,
        Process(curl) as curling,
        Process([sys.executable, "-c", program.replace(ADDRESS.removeprefix("http://"), bridge)]) as running,
    ):
        curling.line("event: hello")

        def all_listen() -> bool:
            post(f"{bridge}/api/v1/write", {"runs": [{"run": "other", "scalars": [{"tag": "t", "values": [1.0]}]}]})
            write(bridge)
            return all("loss/train" in process.output for process in (watching, curling, running))

        until(all_listen, "everybody is told of a point")
        write(bridge, status="finished")
        assert watching.wait() == running.wait() == 0
        assert "loss/train\t7\t0.25\t1794902400.5" in watching.lines
        assert {*running.lines} == {"loss/train 7 0.25"}
        (shown,) = re.findall(r"```\n(retry.*?)```", PAGE, re.DOTALL)
        said = [json.loads(line.removeprefix("data: ")) for line in shown.splitlines() if line.startswith("data: ")]
        assert f"data: {json.dumps(said[1], separators=(',', ':'))}" in curling.lines
        assert said[0].keys() == json.loads(curling.line("^data: (.*)")[1]).keys()


def test_the_numbers_are_those_of_the_limits() -> None:
    words = {
        f"{limits.LIVE_RING_BYTES // limits.MiB} MiB of events are kept": 1,
        f"{limits.LIVE_LAG_BYTES // limits.MiB} MiB and a second behind": 1,
        f"takes nothing for {limits.LIVE_STALL_S:g} seconds": 1,
        f"Over {limits.LIVE_GROUP_ITEMS:,} values": 1,
        f"Up to {limits.LIVE_LISTENERS_MAX} listeners": 1,
    }
    assert {word: PAGE.count(word) for word in words} == words
    assert (limits.LIVE_LAG_AGAIN_S, limits.LIVE_KEPT_S, limits.LIVE_BEAT_S, limits.LIVE_LAG_S) == (30, 60, 1, 1)
    assert 1 / (1 + limits.LIVE_PAUSE_TIMES) == 0.1
