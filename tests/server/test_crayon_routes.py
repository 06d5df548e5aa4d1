"""crayon's routes: the answers its clients check, every refusal as text with status 400, reads that see the last write."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import shutil
import zipfile

import httpx
import pytest

from tbbridge import layout, limits
from tbbridge.errors import QueueFull, Stopping, StorageFailed
from tbbridge.server.app import build_app
from tbbridge.store.known_runs import KnownRuns

JSON = {"content-type": "application/json"}
READY = {"min": 0, "max": 100, "num": 3, "bucket_limit": [10, 50, 30], "bucket": [5, 45, 25]}
FOO_BAR = {"xp": "foo", "name": "bar"}


def ok(answer) -> None:
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "ok", "text/plain; charset=utf-8")


def refused(answer, says: str) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert says in answer.text


@pytest.fixture
async def foo(client):
    """A client of a bridge that has the experiment foo."""
    ok(await client.post("/data", json="foo"))
    return client


# --- experiments --------------------------------------------------------------------------------------------------------


async def test_an_experiment_is_there_and_empty_once_it_is_created(client):
    assert (await client.get("/data")).json() == []
    ok(await client.post("/data", json="foo"))
    assert (await client.get("/data")).json() == ["foo"]
    assert (await client.get("/data", params={"xp": "foo"})).json() == {"scalars": [], "histograms": []}


async def test_an_experiment_that_is_there_is_not_created_again(foo):
    refused(await foo.post("/data", json="foo"), "the experiment 'foo' exists already")


async def test_of_many_that_create_one_experiment_at_once_one_does(client):
    answers = await asyncio.gather(*(client.post("/data", json="foo") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + 19 * [400]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'""', "missing or empty"),
        (b'"../up"', "'..'"),
        (b'"a\\nb"', "control character"),
        (b'"/etc"', "starts with '/'"),
        (b'"' + b"x" * 10_000 + b'"', "1 to 512 bytes"),
        (b"", "the body is empty"),
        (b"foo", "not JSON"),
        (b"3", "the body is 3"),
        (b"[]", "the body is a list"),
    ],
)
async def test_a_name_that_cannot_be_creates_nothing(client, body, says):
    refused(await client.post("/data", content=body, headers=JSON), says)
    assert (await client.get("/data")).json() == []


@pytest.mark.parametrize("name", ['it\'s "quoted"; rm -rf $HOME', "a b+c&d=e%20", "lr=1e-3,λ", "deep/er"])
async def test_any_name_that_can_be_is_only_a_name(client, name):
    ok(await client.post("/data", json=name))
    ok(await client.post("/data/scalars", params={"xp": name, "name": name}, json=[1, 2, 3]))
    assert (await client.get("/data")).json() == [name]
    assert (await client.get("/data/scalars", params={"xp": name, "name": name})).json() == [[1.0, 2, 3.0]]


async def test_names_come_encoded_with_quote_plus(client):
    ok(await client.post("/data", json="a b"))
    ok(await client.post("/data/scalars?xp=a+b&name=c+d%2Fe", json=[1, 2, 3]))
    assert (await client.get("/data?xp=a+b")).json() == {"scalars": ["c d/e"], "histograms": []}


async def test_an_experiment_is_gone_when_it_is_deleted_and_starts_afresh(foo):
    ok(await foo.post("/data/scalars", params=FOO_BAR, json=[1, 2, 3]))
    ok(await foo.delete("/data", params={"xp": "foo"}))
    assert (await foo.get("/data")).json() == []
    refused(await foo.get("/data", params={"xp": "foo"}), "there is no run 'foo'")
    refused(await foo.post("/data/scalars", params=FOO_BAR, json=[1, 2, 3]), "there is no experiment 'foo'")
    refused(await foo.delete("/data", params={"xp": "foo"}), "'foo'")
    ok(await foo.post("/data", json="foo"))
    assert (await foo.get("/data", params={"xp": "foo"})).json() == {"scalars": [], "histograms": []}
    ok(await foo.post("/data/scalars", params=FOO_BAR, json=[4, 5, 6]))
    assert (await foo.get("/data/scalars", params=FOO_BAR)).json() == [[4.0, 5, 6.0]]


async def test_deleting_an_experiment_leaves_those_below_it(foo):
    ok(await foo.post("/data", json="foo/below"))
    ok(await foo.delete("/data", params={"xp": "foo"}))
    assert (await foo.get("/data")).json() == ["foo/below"]
    refused(await foo.post("/data/scalars", params=FOO_BAR, json=[1, 2, 3]), "there is no experiment 'foo'")


# --- scalars ------------------------------------------------------------------------------------------------------------


async def test_a_reader_sees_what_was_written_just_before(foo):
    points = []
    for step in range(20):
        points.append([1.5 + step, step, step / 4])
        ok(await foo.post("/data/scalars", params=FOO_BAR, json=points[-1]))
        assert (await foo.get("/data/scalars", params=FOO_BAR)).json() == points
    assert (await foo.get("/data", params={"xp": "foo"})).json() == {"scalars": ["bar"], "histograms": []}


async def test_nan_and_infinity_come_back_as_pythons_json_reads_them(foo):
    for step, value in enumerate(("NaN", "Infinity", "-Infinity")):
        ok(await foo.post("/data/scalars", params=FOO_BAR, content=f"[0, {step}, {value}]", headers=JSON))
    answer = await foo.get("/data/scalars", params=FOO_BAR)
    assert answer.text == "[[0.0,0,NaN],[0.0,1,Infinity],[0.0,2,-Infinity]]"
    assert len(json.loads(answer.text)) == 3


async def test_a_long_series_comes_in_one_piece_of_json(foo):
    count = 25_001
    column = {"tag": "bar", "steps": list(range(count)), "values": [1.0] * count, "wall_times": [2.0] * count}
    await foo.post("/api/v1/write", json={"runs": [{"run": "foo", "scalars": [column]}]})
    answer = await foo.get("/data/scalars", params=FOO_BAR)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == [[2.0, step, 1.0] for step in range(count)]


async def test_more_points_than_one_answer_holds_are_refused_with_the_way_to_them(foo, monkeypatch):
    monkeypatch.setattr(limits, "READ_MAX_POINTS", 2)
    for step in range(3):
        ok(await foo.post("/data/scalars", params=FOO_BAR, json=[1, step, 3]))
    refused(await foo.get("/data/scalars", params=FOO_BAR), "3 points are too many for one answer; ask /api/v1/scalars")


@pytest.mark.parametrize(
    ("params", "body", "says"),
    [
        ({"xp": "nope", "name": "bar"}, b"[1, 2, 3]", "there is no experiment 'nope'; create it first"),
        ({"xp": "", "name": "bar"}, b"[1, 2, 3]", "the experiment's name is missing or empty"),
        ({"name": "bar"}, b"[1, 2, 3]", "the experiment's name is missing or empty"),
        ({"xp": "foo"}, b"[1, 2, 3]", "the name of the series is missing or empty"),
        ({"xp": "foo", "name": ""}, b"[1, 2, 3]", "the name of the series is missing or empty"),
        ({"xp": "foo", "name": "x" * 2000}, b"[1, 2, 3]", "at most 1024 bytes"),
        (FOO_BAR, b"3", "the body is 3"),
        (FOO_BAR, b"[1, 2]", "the list has 2 items"),
        (FOO_BAR, b'[1, 2, "lol"]', "value is the text"),
        (FOO_BAR, b"[1, 2, 3", "not JSON"),
    ],
)
async def test_a_point_that_cannot_be_taken_is_refused_and_nothing_is_written(foo, params, body, says):
    refused(await foo.post("/data/scalars", params=params, content=body, headers=JSON), says)
    assert (await foo.get("/data", params={"xp": "foo"})).json() == {"scalars": [], "histograms": []}


@pytest.mark.parametrize("kind", ["scalars", "histograms"])
async def test_what_is_not_there_is_refused(foo, kind):
    await foo.post("/data/scalars", params={"xp": "foo", "name": "scalar"}, json=[0, 0, 0])
    await foo.post("/data/histograms", params={"xp": "foo", "name": "histogram"}, json=[0, 0, READY])
    other = {"scalars": "histogram", "histograms": "scalar"}[kind]
    for params, says in (
        ({"xp": "nope", "name": "bar"}, "there is no run 'nope'"),
        ({"name": "bar"}, "missing or empty"),
        ({"xp": "foo", "name": ""}, "missing or empty"),
        ({"xp": "foo", "name": "nope"}, "has no tag 'nope'"),
        ({"xp": "foo", "name": other}, repr(other)),
        ({"xp": "../foo", "name": "bar"}, "'..'"),
    ):
        refused(await foo.get(f"/data/{kind}", params=params), says)


async def test_a_name_of_one_kind_is_not_taken_for_another(foo):
    ok(await foo.post("/data/scalars", params=FOO_BAR, json=[0, 0, 0]))
    refused(await foo.post("/data/histograms", params=FOO_BAR, json=[0, 0, READY]), "holds scalar values")


async def test_a_body_that_is_not_called_json_is_refused(foo):
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}):
        refused(await foo.post("/data/scalars", params=FOO_BAR, content=b"[1, 2, 3]", headers=headers), "application/json")


@pytest.mark.parametrize("query", ["xp=%ff&name=a", "&".join(["xp=a"] * 30)])
async def test_a_query_that_cannot_be_read_is_refused(client, query):
    refused(await client.get(f"/data/scalars?{query}"), "the query")


@pytest.mark.parametrize(
    ("error", "status"), [(QueueFull("full"), 429), (Stopping("stop"), 503), (StorageFailed("disk", full=True), 507)]
)
async def test_what_passes_by_itself_says_so_by_its_status(fake_client, door, error, status):
    door.error = error
    answer = await fake_client.post("/data/scalars", params=FOO_BAR, json=[1, 2, 3])
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "1")
    assert answer.text == error.message


# --- histograms ---------------------------------------------------------------------------------------------------------


async def test_ready_histograms_come_back_as_they_were_sent(foo):
    params = {**FOO_BAR, "tobuild": "False"}
    ok(await foo.post("/data/histograms", params=params, json=[0, 0, READY]))
    ok(await foo.post("/data/histograms", params=params, json=[1, 1, {**READY, "sum": 75, "sum_squares": 5625}]))
    assert (await foo.get("/data/histograms", params=FOO_BAR)).json() == [
        [0.0, 0, [0.0, 100.0, 3.0, 0.0, 0.0, [10.0, 50.0, 30.0], [5.0, 45.0, 25.0]]],
        [1.0, 1, [0.0, 100.0, 3.0, 75.0, 5625.0, [10.0, 50.0, 30.0], [5.0, 45.0, 25.0]]],
    ]
    assert (await foo.get("/data", params={"xp": "foo"})).json() == {"scalars": [], "histograms": ["bar"]}


async def test_a_histogram_built_here_has_exact_sums(foo):
    ok(await foo.post("/data/histograms", params={**FOO_BAR, "tobuild": "true"}, json=[2, 3, [1, 2, 3, 4, 5]]))
    ((wall_time, step, histo),) = (await foo.get("/data/histograms", params=FOO_BAR)).json()
    assert (wall_time, step, histo[:5]) == (2.0, 3, [1.0, 5.0, 5.0, 15.0, 55.0])
    edges, counts = histo[5:]
    assert (len(edges), sum(counts), edges[-1]) == (len(counts), 5, 5.0)


async def test_a_histogram_that_another_interface_wrote_is_read_with_sums_from_its_buckets(foo):
    histogram = {"kind": "histogram", "tag": "bar", "step": 3, "wall_time": 2.0, "buckets": [[0, 2, 3], [2, 4, 1]]}
    await foo.post("/api/v1/write", json={"runs": [{"run": "foo", "summaries": [histogram]}]})
    assert (await foo.get("/data/histograms", params=FOO_BAR)).json() == [
        [2.0, 3, [0.0, 4.0, 4.0, 6.0, 12.0, [2.0, 4.0], [3.0, 1.0]]]
    ]


@pytest.mark.parametrize(
    ("params", "body", "says"),
    [
        ({"xp": "nope", "name": "bar"}, [0, 0, READY], "there is no experiment 'nope'"),
        ({"xp": "foo", "name": ""}, [0, 0, READY], "missing or empty"),
        (FOO_BAR, [0, 0, {"some data": 0}], "lacks min"),
        (FOO_BAR, [0, 0, [1, 2]], "tobuild=true"),
        ({**FOO_BAR, "tobuild": "true"}, [0, 0, ["lolz"]], "values[0]"),
        ({**FOO_BAR, "tobuild": "perhaps"}, [0, 0, [1]], "tobuild is the text"),
        (FOO_BAR, {"a": 1}, "the body is an object"),
    ],
)
async def test_a_histogram_that_cannot_be_taken_is_refused(foo, params, body, says):
    refused(await foo.post("/data/histograms", params=params, json=body), says)


# --- archives -----------------------------------------------------------------------------------------------------------


async def test_an_experiment_comes_back_from_its_backup_under_any_name(foo):
    for step in range(3):
        ok(await foo.post("/data/scalars", params=FOO_BAR, json=[step, step, step / 2]))
    points = (await foo.get("/data/scalars", params=FOO_BAR)).json()
    answer = await foo.get("/backup", params={"xp": "foo"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert ["/" in name for name in names] == [False], "entries are relative to the experiment's folder"
    ok(await foo.delete("/data", params={"xp": "foo"}))
    zipped = {"content-type": "application/zip"}
    ok(await foo.post("/backup", params={"xp": "foo", "force": "True"}, content=answer.content, headers=zipped))
    ok(
        await foo.post(
            "/backup",
            params={"xp": "other/name", "force": "true"},
            data={"mysubmit": "Go"},
            files={"archive": ("backup.zip", answer.content)},
        )
    )
    assert (await foo.get("/data")).json() == ["foo", "other/name"]
    for name in ("foo", "other/name"):
        assert (await foo.get("/data/scalars", params={"xp": name, "name": "bar"})).json() == points
        ok(await foo.post("/data/scalars", params={"xp": name, "name": "bar"}, json=[9, 9, 9]))
        assert len((await foo.get("/data/scalars", params={"xp": name, "name": "bar"})).json()) == 4


def evil() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("events.out.tfevents.1", b"")
        archive.writestr("../../escaped", b"x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("params", "content", "kind", "says"),
    [
        ({"xp": "new"}, evil(), "application/zip", "force=true"),
        ({"xp": "new", "force": "False"}, evil(), "application/zip", "force=true"),
        ({"force": "True"}, evil(), "application/zip", "missing or empty"),
        ({"xp": "new", "force": "True"}, b"no zip", "application/zip", "send a whole zip"),
        ({"xp": "new", "force": "True"}, evil(), "application/zip", "'..'"),
        ({"xp": "new", "force": "True"}, evil(), "application/json", "send application/zip or multipart/form-data"),
        ({"xp": "new", "force": "True"}, evil(), "multipart/form-data", "names no boundary"),
        ({"xp": "new", "force": "True"}, b"--x--\r\n", "multipart/form-data; boundary=x", "has no field 'archive'"),
    ],
)
async def test_an_archive_that_cannot_be_taken_is_refused_and_leaves_nothing(foo, tmp_path, params, content, kind, says):
    refused(await foo.post("/backup", params=params, content=content, headers={"content-type": kind}), says)
    assert (await foo.get("/data")).json() == ["foo"]
    assert not list(tmp_path.rglob("escaped"))


async def test_an_experiment_that_is_there_is_not_restored_over(foo):
    ok(await foo.post("/data/scalars", params=FOO_BAR, json=[1, 2, 3]))
    zipped = (await foo.get("/backup", params={"xp": "foo"})).content
    answer = await foo.post(
        "/backup", params={"xp": "foo", "force": "True"}, content=zipped, headers={"content-type": "application/zip"}
    )
    refused(answer, "remove it first, or restore under another name")  # crayon's force does not replace
    assert (await foo.get("/data/scalars", params=FOO_BAR)).json() == [[1.0, 2, 3.0]]


async def test_a_web_page_cannot_restore_by_a_form(foo):
    answer = await foo.post(
        "/backup",
        params={"xp": "new", "force": "True"},
        files={"archive": ("backup.zip", evil())},
        headers={"origin": "https://elsewhere.example"},
    )
    assert answer.status_code == 403
    assert "may not ask this bridge" in answer.text


async def test_an_archive_over_the_limit_is_refused_by_its_head_or_while_it_comes(settings):
    app = build_app(dataclasses.replace(settings, archive_max_bytes=limits.MiB))
    transport = httpx.ASGITransport(app)
    params, zipped = {"xp": "new", "force": "true"}, {"content-type": "application/zip"}

    async def pieces():
        for _ in range(20):
            yield bytes(64 * limits.KiB)

    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        for content in (bytes(limits.MiB + 1), pieces()):
            refused(await client.post("/backup", params=params, content=content, headers=zipped), "1048576")
        encoded = {**zipped, "content-encoding": "gzip"}
        refused(await client.post("/backup", params=params, content=b"x", headers=encoded), "without a Content-Encoding")
        assert (await client.get("/data")).json() == []


async def test_a_sender_that_goes_away_in_the_middle_of_a_form_leaves_nothing(app, foo, settings):
    head = b'--x\r\nContent-Disposition: form-data; name="archive"; filename="a.zip"\r\n\r\n' + bytes(300_000)
    messages = [{"type": "http.request", "body": head, "more_body": True}, {"type": "http.disconnect"}]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/backup",
        "raw_path": b"/backup",
        "query_string": b"xp=new&force=true",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
    }
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    assert (messages, sent) == ([], [])
    staged = settings.logdir / ".tbbridge" / "staged"
    assert not staged.exists() or list(staged.iterdir()) == []
    assert (await foo.get("/data")).json() == ["foo"]


async def test_a_backup_of_what_is_not_there_is_refused(client):
    refused(await client.get("/backup", params={"xp": "nope"}), "there is no run 'nope'")
    refused(await client.get("/backup"), "missing or empty")


# --- whether an experiment is there -------------------------------------------------------------------------------------


async def test_an_experiment_whose_folder_somebody_deleted_is_unknown_at_once(foo, settings):
    ok(await foo.post("/data/scalars", params=FOO_BAR, json=[1, 2, 3]))
    await foo.get("/data")  # all is in the files
    shutil.rmtree(settings.logdir / "foo")
    refused(await foo.post("/data/scalars", params=FOO_BAR, json=[1, 2, 3]), "there is no experiment 'foo'")


def test_a_run_is_known_until_its_folder_changes(tmp_path):
    runs = KnownRuns(tmp_path)
    file = tmp_path / "a" / "b" / "events.out.tfevents.1"
    assert not runs.look("a/b")
    file.parent.mkdir(parents=True)
    assert not runs.look("a/b"), "a folder alone is no run"
    file.write_bytes(b"")
    assert not runs.is_known("a/b"), "nobody has looked since"
    assert runs.look("a/b")
    assert runs.is_known("a/b")
    file.write_bytes(b"more")
    assert runs.is_known("a/b"), "a file that grows is no change"
    assert not runs.look("a")
    file.unlink()
    assert not runs.is_known("a/b")
    assert not runs.look("a/b")


def test_no_more_runs_are_remembered_than_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "KNOWN_RUNS_KEPT", 2)
    runs = KnownRuns(tmp_path)
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.out.tfevents.1").write_bytes(b"")
        assert runs.look(name)
    assert [runs.is_known(name) for name in "abc"] == [False, False, True]


def test_a_run_behind_a_link_is_none(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "events.out.tfevents.1").write_bytes(b"")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "real")
    assert not KnownRuns(tmp_path / "runs").look("link")


def test_a_veiled_run_is_there_and_looked_for_each_time(tmp_path):
    files = tmp_path / ".tbbridge" / "veils" / "1" / "files"
    files.mkdir(parents=True)
    (files.parent / "run").write_text("foo")
    runs = KnownRuns(tmp_path)
    assert not runs.look("foo")
    (files / "events.out.tf~vents.1").write_bytes(b"")
    assert runs.look("foo")
    assert not runs.is_known("foo")


@pytest.mark.parametrize("way", ["lifted", "hidden"])
def test_a_run_whose_files_are_moved_while_it_is_looked_for_is_there(tmp_path, monkeypatch, way):
    shown, veil = tmp_path / "foo", tmp_path / ".tbbridge" / "veils" / "1"
    for folder in (shown, veil / "files"):
        folder.mkdir(parents=True)
    (veil / "run").write_text("foo")
    places = [veil / "files" / "events.out.tf~vents.1", shown / "events.out.tfevents.1"]
    source, target = places if way == "lifted" else reversed(places)
    source.write_bytes(b"")
    veils = layout.veils

    def veils_and_a_move(logdir):
        found = veils(logdir) if way == "lifted" or target.exists() else {}
        if source.exists():
            source.rename(target)
        return found

    monkeypatch.setattr(layout, "veils", veils_and_a_move)
    assert KnownRuns(tmp_path).look("foo")
