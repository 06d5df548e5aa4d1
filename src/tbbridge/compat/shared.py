"""One `Client` for all old clients of this process that send to one address: thousands of them share a connection and a queue.

Nobody closes it: it ends by itself, after it has sent everything, when the last of its users is gone; or with the process.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from tbbridge.client.client import Client

_clients: WeakValueDictionary[tuple[str, str | None], Client] = WeakValueDictionary()


def shared_client(url: str, token: str | None = None) -> Client:
    """The client of this address, as `find_address` gives it, and token; keep it, or a run of it, as long as you log."""
    client = _clients.get((url, token))
    if client is None:  # two threads at once may each make one: both work, and the table keeps the later
        client = _clients[url, token] = Client(url, token=token)
    return client
