"""`tbbridge.compat.TensorplexClient`: one connection for all of a process, Tensorplex's calls, and its mistakes told."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from fake_server import Server, until

import tbbridge.compat
from tbbridge import InvalidItem
from tbbridge.compat import TensorplexClient
from tbbridge.groups import Groups, IndexedGroup, NormalGroup

GROUPS = Groups([NormalGroup("learner"), IndexedGroup("agent", 10)])


@pytest.fixture(autouse=True)
def groups(server: Server) -> None:
    server.groups = GROUPS


def test_thousands_of_clients_of_one_address_share_a_thread_and_a_writer(server: Server) -> None:
    before = threading.active_count()
    clients = [TensorplexClient(f"agent/{index}", host="127.0.0.1", port=server.port) for index in range(2000)]
    for client in clients:
        client.add_scalar("reward", 1.0, 1)
    assert threading.active_count() <= before + 2
    clients[0].flush()
    assert len(server.scalars) == 2000
    assert len({writer for writer, _ in server.requests}) == 1


def test_a_client_that_is_dropped_or_closed_still_sends_and_holds_up_no_other(server: Server) -> None:
    dropped, closed, other = (TensorplexClient(f"agent/{index}", host=server.url) for index in range(3))
    dropped.add_scalar("reward", 1.0, 1)
    closed.add_scalar("reward", 2.0, 1)
    closed.close()
    with pytest.raises(RuntimeError, match="log before close"):
        closed.add_scalar("reward", 2.0, 2)
    other.add_scalar("reward", 3.0, 1)
    del dropped, closed, other
    gc.collect()
    until(lambda: len(server.scalars) == 3)
    with TensorplexClient("agent/4", host=server.url) as later:  # the client they shared is gone; this one has another
        later.add_scalar("reward", 4.0, 1)
        later.flush()
    assert len({writer for writer, _ in server.requests}) == 2


def test_steps_and_times_are_those_of_tensorboardx(server: Server) -> None:
    with TensorplexClient("agent/17", host=server.url) as client:
        client.add_scalar("a", 1.0)
        client.add_scalar("b", 1.0, 2.9)
        client.add_scalar("c", np.float32(1.0), np.int64(3), 5.0)
        client.add_scalars({"d": 1, "e": 2}, 4)
        client.flush()
    steps = {tag: server.steps("agent/17", f"agent/{tag}/10-19") for tag in "abcde"}
    assert steps == {"a": [0], "b": [2], "c": [3], "d": [4], "e": [4]}
    assert server.scalars["agent/17", "agent/c/10-19"] == [(3, 1.0, 5.0)]


def test_what_is_no_client_id_and_what_is_no_value_is_told_at_the_call(server: Server) -> None:
    with pytest.raises(InvalidItem, match="exactly one '/'"):
        TensorplexClient("agent", host=server.url)
    with TensorplexClient("agent/1", host=server.url) as client, pytest.raises(InvalidItem, match="reward"):
        client.add_scalar("reward", "much", 1)  # type: ignore[arg-type]
    assert repr(client) == f"<TensorplexClient 'agent/1' at {server.url}>"


def test_other_names_of_the_package_are_told_as_usual() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'TensorplexServer'"):
        _ = tbbridge.compat.TensorplexServer
