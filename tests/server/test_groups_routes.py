"""GET and PUT /api/v1/groups, and writes of members: the names that come out, what is kept, and who may change it."""

from __future__ import annotations

import asyncio
import json

import pytest

from tbbridge.errors import InvalidSetting
from tbbridge.server.app import build_app
from tbbridge.server.settings import ServerSettings
from tbbridge.v1 import write_pb2 as pb
from tbbridge.wire.groups_v1 import GROUPS_EXAMPLE, groups_from_table

PATH = "/api/v1/groups"
PROTOBUF = {"content-type": "application/x-protobuf"}


def member(name, tag="reward", value=1.0):
    return {"member": name, "scalars": [{"tag": tag, "values": [value]}]}


async def tags(client, run):
    answer = await client.get("/api/v1/runs", params={"run": run})
    return sorted(tag["tag"] for tag in answer.json()["runs"][0]["tags"])


async def test_groups_are_kept_over_a_restart_and_name_runs_and_tags(settings, running):
    async with running(build_app(settings)) as client:
        assert (await client.get(PATH)).json() == {"groups": [], "fixed": False}
        put = await client.put(PATH, json=GROUPS_EXAMPLE)
        assert (put.status_code, put.json()) == (200, {**GROUPS_EXAMPLE, "fixed": False})
    async with running(build_app(settings)) as client:
        assert (await client.get(PATH)).json()["groups"] == GROUPS_EXAMPLE["groups"]
        runs = [member("agent/17"), member("learner/a"), member("learner/b", ".own/x"), member("eval/redder")]
        answer = await client.post("/api/v1/write", json={"runs": runs})
        assert answer.json()["accepted"] == 4
        assert await tags(client, "agent/17") == ["agent/reward/10-19"]
        assert await tags(client, "learner") == ["a/reward", "b.own/x"]  # both members, in one run
        assert await tags(client, "eval/redder") == ["eval/reward/colors"]


async def test_both_forms_of_a_write_and_every_kind_of_value_go_to_the_same_place(settings, running):
    async with running(build_app(settings)) as client:
        await client.put(PATH, json=GROUPS_EXAMPLE)
        message = pb.RunBatch(member="agent/3", scalars=[pb.ScalarColumns(tag="reward", values=[1, 2])])
        message.summaries.add(tag="note", text="hello")
        message.summaries.add(tag="single", scalar=1)
        body = pb.WriteRequest(runs=[message]).SerializeToString()
        assert (await client.post("/api/v1/write", content=body, headers=PROTOBUF)).status_code == 200
        summaries = [{"kind": "text", "tag": "note", "text": "hello"}, {"kind": "scalar", "tag": "single", "value": 1}]
        same = {"member": "agent/4", "scalars": [{"tag": "reward", "values": [1, 2]}], "summaries": summaries}
        assert (await client.post("/api/v1/write", json={"runs": [same]})).status_code == 200
        expected = ["agent/note/0-9", "agent/reward/0-9", "agent/single/0-9"]
        assert await tags(client, "agent/3") == await tags(client, "agent/4") == expected


async def test_a_run_and_a_member_that_mean_the_same_run_are_one(settings, running):
    async with running(build_app(settings)) as client:
        await client.put(PATH, json=GROUPS_EXAMPLE)
        run = {"run": "agent/3", "scalars": [{"tag": "agent/reward/0-9", "values": [5.0]}]}
        assert (await client.post("/api/v1/write", json={"runs": [run, member("agent/3")]})).json()["accepted"] == 2
        series = await client.get("/api/v1/scalars", params={"run": "agent/3", "tag": "agent/reward/0-9"})
        assert series.json()["values"] == [5.0, 1.0]


RAW = {"kind": "raw", "value": "CgFhFQAAgD8="}
BAD_MEMBERS = {
    "unknown group": (member("nobody/1"), "runs[1].member", "the groups are learner (normal), agent (indexed"),
    "no index": (member("agent/one"), "runs[1].member", "the groups are"),
    "no slash": (member("agent"), "runs[1].member", "exactly one '/'"),
    "with a run": ({**member("agent/1"), "run": "x"}, "runs[1].member", "send one of them"),
    "neither": ({"scalars": []}, "runs[1].run", "'member'"),
    "a tag that grows too long": (member("agent/1", "x" * 1020), "runs[1].scalars[0].tag", "at most 1024"),
    "a raw value": ({"member": "agent/1", "summaries": [RAW]}, "runs[1].summaries[0].kind", "with 'run'"),
}


@pytest.mark.parametrize("bad", BAD_MEMBERS.values(), ids=BAD_MEMBERS.keys())
async def test_a_wrong_member_is_named_and_with_partial_left_out_alone(bad, settings, running):
    item, path, says = bad
    async with running(build_app(settings)) as client:
        await client.put(PATH, json=GROUPS_EXAMPLE)
        body = {"runs": [member("agent/5"), item]}
        refused = await client.post("/api/v1/write", json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["path"] == path
        assert says in refused.json()["errors"][0]["message"]
        assert (await client.get("/api/v1/runs")).json()["runs"] == []
        taken = await client.post("/api/v1/write?partial=true", json=body)
        assert taken.json()["accepted"] == 1
        assert [error["path"] for error in taken.json()["rejected"]] == [path]


async def test_a_raw_value_of_a_member_is_refused_as_protobuf_too(settings, running):
    async with running(build_app(settings)) as client:
        await client.put(PATH, json=GROUPS_EXAMPLE)
        message = pb.RunBatch(member="agent/5", summaries=[pb.Summary(raw_value=b"\n\1a\x15\0\0\x80?")])
        refused = await client.post(
            "/api/v1/write", content=pb.WriteRequest(runs=[message]).SerializeToString(), headers=PROTOBUF
        )
        problem = pb.Problem.FromString(refused.content)
        assert (refused.status_code, problem.errors[0].path) == (422, "runs[0].summaries[0].raw_value")


BAD_PUTS = {
    "no json": (b"x", {"content-type": "application/json"}, 400),
    "another form": (b"", PROTOBUF, 415),
    "a kind that is none": (b'{"groups": [{"name": "a", "kind": "b"}]}', {"content-type": "application/json"}, 422),
    "too long": (b" " * (2**20 + 1), {"content-type": "application/json"}, 413),
}


@pytest.mark.parametrize("bad", BAD_PUTS.values(), ids=BAD_PUTS.keys())
async def test_a_wrong_table_changes_nothing(bad, settings, running):
    content, headers, status = bad
    async with running(build_app(settings)) as client:
        await client.put(PATH, json=GROUPS_EXAMPLE)
        assert (await client.put(PATH, content=content, headers=headers)).status_code == status
        assert (await client.get(PATH)).json()["groups"] == GROUPS_EXAMPLE["groups"]


async def test_groups_of_the_settings_file_win_over_kept_ones_and_no_request_changes_them(settings, running):
    async with running(build_app(settings)) as client:
        await client.put(PATH, json={"groups": [{"name": "kept", "kind": "normal"}]})
    fixed = groups_from_table({"agent": {"kind": "indexed", "bin_size": 5}})
    async with running(build_app(ServerSettings(logdir=settings.logdir, groups=fixed))) as client:
        refused = await client.put(PATH, json=GROUPS_EXAMPLE)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        answer = await client.get(PATH)
        assert answer.json() == {"groups": [{"name": "agent", "kind": "indexed", "bin_size": 5}], "fixed": True}
    async with running(build_app(settings)) as client:  # without the file, what was kept counts again
        assert [group["name"] for group in (await client.get(PATH)).json()["groups"]] == ["kept"]


async def test_puts_at_one_time_leave_what_is_kept_and_what_is_used_the_same(settings, running):
    tables = [{"groups": [{"name": f"g{number}", "kind": "normal"}]} for number in range(8)]
    async with running(build_app(settings)) as client:
        await asyncio.gather(*(client.put(PATH, json=table) for table in tables))
        used = (await client.get(PATH)).json()["groups"]
        assert json.loads((settings.logdir / ".tbbridge" / "groups.json").read_text()) == {"groups": used}


@pytest.mark.parametrize("content", ["", "{", '{"groups": [{"name": "a/b", "kind": "normal"}]}'])
async def test_a_damaged_file_of_groups_stops_the_start_and_is_named(content, settings):
    """To go on without it would refuse what members send."""
    folder = settings.logdir / ".tbbridge"
    folder.mkdir(parents=True)
    (folder / "groups.json").write_text(content)
    app = build_app(settings)
    with pytest.raises(InvalidSetting, match=r"groups\.json are damaged"):
        async with app.router.lifespan_context(app):
            pass


async def test_a_full_disk_keeps_the_old_groups(settings, monkeypatch, running):
    async with running(build_app(settings)) as client:
        await client.put(PATH, json=GROUPS_EXAMPLE)

        def refuse(path, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("tbbridge.store.groups_file.replace_durably", refuse)
        answer = await client.put(PATH, json={"groups": []})
        assert answer.status_code == 507
        assert (await client.get(PATH)).json()["groups"] == GROUPS_EXAMPLE["groups"]
