"""Members of groups: their values travel under the member's name, and the server's groups say where they go."""

from __future__ import annotations

import threading

import pytest
from fake_server import Server, free_port, serve

from tbbridge import AsyncClient, Client, InvalidItem
from tbbridge.client.answers import Answer
from tbbridge.client.outbox import Outbox
from tbbridge.groups import Groups, IndexedGroup, MemberName, NormalGroup, member_name
from tbbridge.model import Batch, RunBatch, run_name
from tbbridge.v1 import write_pb2
from tbbridge.wire.protobuf_v1 import encode_batch, encode_response

GROUPS = Groups([NormalGroup("learner"), IndexedGroup("agent", 10)])


def test_a_members_name_is_never_a_runs_name_of_the_same_text() -> None:
    member, run = member_name("a/b"), run_name("a/b")
    assert member != run
    assert run != member
    assert len({member, run, member_name("a/b")}) == 2
    assert isinstance(member, MemberName)
    assert str(member) == "a/b"


def test_a_member_travels_as_member_and_a_run_as_run() -> None:
    batch = Batch((RunBatch(member_name("a/b"), create=True), RunBatch(run_name("a/b"), create=True)))
    sent = write_pb2.WriteRequest.FromString(encode_batch(batch)).runs
    assert [(run.run, run.member) for run in sent] == [("", "a/b"), ("a/b", "")]


def test_all_log_calls_of_a_run_go_where_the_groups_say() -> None:
    with serve() as server:
        server.groups = GROUPS
        with Client(server.url) as client:
            agent, learner, run = client.member("agent/17"), client.member("learner/net"), client.run("agent/17")
            assert (agent.name, repr(learner)) == ("agent/17", "<Member 'learner/net' at step 0>")
            agent.add_scalar("reward", 1.0, 5)
            agent.add_text(".notes/a", "hello", 5)
            learner.add_scalar("loss", 2.0, 6)
            run.add_scalar("reward", 3.0, 7)
            run.close()
            agent.step(9)
            agent.add_scalar("reward", 4.0)
            client.flush()
        assert server.steps("agent/17", "agent/reward/10-19") == [5, 9]
        assert server.values("learner", "net/loss") == [2.0]
        assert server.values("agent/17", "reward") == [3.0]
        assert [(run, text.tag) for run, text in server.texts] == [("agent/17", "agent.notes/a/10-19")]


async def test_the_asynchronous_client_has_members_too() -> None:
    with serve() as server:
        server.groups = GROUPS
        async with AsyncClient(server.url) as client:
            client.member("agent/3").add_scalar("reward", 1.0, 5)
            await client.flush()
        assert server.values("agent/3", "agent/reward/0-9") == [1.0]


def test_members_log_while_the_server_is_away() -> None:
    """The client has no table of groups and needs none."""
    port = free_port()
    server = Server()
    server.groups = GROUPS
    with Client("127.0.0.1", port) as client:
        client.member("agent/3").add_scalar("reward", 1.0, 5)
        server.start(port)
        try:
            client.flush()
        finally:
            server.stop()
    assert server.values("agent/3", "agent/reward/0-9") == [1.0]


def test_thousands_of_members_share_a_client_and_its_one_thread() -> None:
    with serve() as server:
        server.groups = GROUPS
        before = threading.active_count()
        with Client(server.url) as client:
            members = [client.member(f"agent/{number}") for number in range(3000)]
            for member in members:
                member.add_scalar("reward", 1.0, 1)
            assert threading.active_count() <= before + 2  # the sender, and the fake server's one for its connection
            client.flush()
        assert len(server.scalars) == 3000
        assert len(server.requests) < 30


@pytest.mark.parametrize("name", ["agent", "agent/", "/17", "agent/1/2", 17, "agent/\ud800"])
def test_a_name_that_is_no_members_is_refused_at_the_call(name: str) -> None:
    with pytest.raises(InvalidItem), Client("127.0.0.1:1") as client:
        client.member(name)


def test_what_the_server_refuses_is_told_by_the_members_name() -> None:
    outbox = Outbox("x", max_points=1000, max_bytes=10**6, batch_bytes=10**6)
    run = member_name("nobody/1")
    outbox.series(run, "reward")
    outbox.backlog.extend([(0, 1.0, 1, 1.0)])
    outbox.all_due()
    body = outbox.next_body()
    assert body is not None
    error = _refusal(run)
    answer = encode_response(0, duplicate=False, rejected=[error], warnings=[])
    outbox.answered(Answer(200, "application/x-protobuf", "", answer))
    loss = outbox.loss()
    assert loss is not None
    assert "runs[member='nobody/1']" in loss.message
    assert "is of no group here" in loss.message


def _refusal(name: str):  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidItem) as raised:
        GROUPS.place(name)
    return raised.value.at("runs[0]")
