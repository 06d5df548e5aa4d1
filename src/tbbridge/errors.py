"""Every error tbbridge raises or answers, whose fault it is, and whether trying again can help.

    TBBridgeError
    ├── InvalidItem            422  one name, column or value is wrong (also a ValueError)
    ├── InvalidBatch           422  what was sent has such items; all of them are listed
    ├── InvalidQuery           422  a parameter behind the `?` is wrong or unknown
    ├── MalformedBody          400  the body cannot be read at all: not JSON, truncated gzip ...
    ├── UnsupportedMedia       415  a Content-Type or Content-Encoding we do not speak
    ├── TooLarge               413  over a limit, before or after decompression
    ├── Unauthorized           401  a token is asked for, and none came or it is not valid
    ├── Forbidden              403  the token, or the page that asks, does not allow this
    ├── Misdirected            421  the request was sent to a name that is not this bridge's
    ├── NotFound               404  no such run or tag
    ├── Conflict               409  what is there already stands in the way of it
    ├── BodyTimeout            408  the body did not arrive in time; retryable
    ├── QueueFull              429  not now: the queue is full; retryable
    ├── TooManyRequests        429  not now: this address asks, or holds, too much at one time; retryable
    ├── TooManyConnections     503  not now: the bridge has as many connections as it may; retryable
    ├── Stopping               503  the bridge is shutting down; retryable
    ├── NotReady               503  GET /readyz says no; retryable
    ├── StorageFailed          503  the disk refuses to store (507 when it is full); retryable
    ├── LogFolderBusy          503  another process owns the log folder
    ├── CannotListen           500  at the start: the address or port cannot be had
    ├── InvalidSetting         500  at the start: a flag or a TBBRIDGE_* variable has a value that cannot be
    ├── CommandFailed          500  the command line: a command cannot do its work
    ├── Unavailable            503  client side: the server could not be reached in time; retryable
    ├── Rejected               any  client side: the server refused for good
    ├── PointsLost             503  client side: points were dropped before they reached the server
    └── WriteFailed            503  a local event file cannot be written (also an OSError); retryable

The server answers each as problem+json with its `code`, `status` and message; nothing else about it leaves the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class ItemError:
    """What is wrong with one item: `path` says which (`runs[0].scalars[2].steps[7]`), `message` also names the remedy."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ItemWarning:
    """Something the sender should know about an item that was stored all the same; fields as in `ItemError`."""

    path: str
    code: str
    message: str


class TBBridgeError(Exception):
    """Base of all of them. `code` is stable for programs, the message is for people, `retryable` says if waiting can help."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    status: int = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidItem(TBBridgeError, ValueError):
    """One item is wrong. Raised where the item is made; `where` is its path relative to the maker (may be empty)."""

    code = "invalid-item"
    title = "Invalid item"
    status = 422

    def __init__(self, item_code: str, message: str, where: str = "") -> None:
        super().__init__(message)
        self.item_code = item_code
        self.where = where

    def at(self, prefix: str) -> ItemError:
        """This error as seen from outside, `prefix` being the path of the item whose part is wrong."""
        separator = "." if prefix and self.where and not self.where.startswith("[") else ""
        return ItemError(prefix + separator + self.where, self.item_code, self.message)


class InvalidBatch(TBBridgeError):
    """A batch holds items that are wrong; `errors` lists them (the first of them, see limits.REPORTED_ITEMS)."""

    code = "invalid-batch"
    title = "Invalid batch"
    status = 422

    def __init__(self, errors: Sequence[ItemError]) -> None:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{first.path}: {first.message}{more}" if first.path else first.message + more)
        self.errors = tuple(errors)


class InvalidQuery(TBBridgeError):
    """Parameters in the query are wrong or unknown; `errors` lists them, each `path` being a parameter's name."""

    code = "invalid-query"
    title = "Invalid query"
    status = 422

    def __init__(self, errors: Sequence[ItemError]) -> None:
        super().__init__("; ".join(f"{error.path}: {error.message}" for error in errors))
        self.errors = tuple(errors)


class MalformedBody(TBBridgeError):
    """The body cannot be read as what its Content-Type and Content-Encoding say."""

    code = "malformed-body"
    title = "Malformed body"
    status = 400


class UnsupportedMedia(TBBridgeError):
    """A Content-Type or Content-Encoding that this server does not speak; the message lists those it does."""

    code = "unsupported-media"
    title = "Unsupported media type"
    status = 415


class TooLarge(TBBridgeError):
    """A body over its limit, before or after decompression. Send less at a time; the same body is refused again."""

    code = "too-large"
    title = "Too large"
    status = 413


class Unauthorized(TBBridgeError):
    """A token is asked for, and none came, or one that is not valid (any more)."""

    code = "unauthorized"
    title = "Unauthorized"
    status = 401


class Forbidden(TBBridgeError):
    """The token does not allow this, or a web page of another origin asked."""

    code = "forbidden"
    title = "Forbidden"
    status = 403


class Misdirected(TBBridgeError):
    """The request's Host names another machine: somebody's DNS may lead browsers here."""

    code = "misdirected"
    title = "Misdirected request"
    status = 421


class NotFound(TBBridgeError):
    """No such run, or no such tag in it."""

    code = "not-found"
    title = "Not found"
    status = 404


class Conflict(TBBridgeError):
    """What is there already stands in the way: a run of that name exists, a file is damaged. Nothing was changed."""

    code = "conflict"
    title = "Conflict"
    status = 409


class Unready(TBBridgeError):
    """Base of the errors that pass by themselves: wait `retry_after_s` seconds and send the same again."""

    retryable = True

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BodyTimeout(Unready):
    """The rest of the body did not arrive in time; nothing of it was taken."""

    code = "body-timeout"
    title = "Body too slow"
    status = 408


class QueueFull(Unready):
    """The pipeline holds as much as it may; nothing of this batch was taken."""

    code = "queue-full"
    title = "Queue full"
    status = 429


class TooManyRequests(Unready):
    """One address has as many requests under way, or connections open, as it may; nothing of this one was taken."""

    code = "too-many-requests"
    title = "Too many requests"
    status = 429


class TooManyConnections(Unready):
    """The bridge has as many connections open as it may; nothing was read from this one."""

    code = "too-many-connections"
    title = "Too many connections"
    status = 503


class Stopping(Unready):
    """The bridge is shutting down and takes no more."""

    code = "stopping"
    title = "Shutting down"
    status = 503


class NotReady(Unready):
    """The bridge takes nothing at the moment; the message says why, for an operator."""

    code = "not-ready"
    title = "Not ready"
    status = 503


class StorageFailed(Unready):
    """The disk refuses: nothing of this batch was taken, what was acknowledged before is safe in the journal."""

    code = "storage-failed"
    title = "Storage failed"
    status = 503

    FULL: ClassVar[int] = 507

    def __init__(self, message: str, *, full: bool = False, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s)
        if full:
            self.status = self.FULL


class LogFolderBusy(TBBridgeError):
    """Another process owns this log folder."""

    code = "log-folder-busy"
    title = "Log folder busy"
    status = 503


class CannotListen(TBBridgeError):
    """The address or the port to listen on cannot be had: taken, forbidden, or not of this machine."""

    code = "cannot-listen"
    title = "Cannot listen"


class InvalidSetting(TBBridgeError, ValueError):
    """A flag or a TBBRIDGE_* variable has a value that cannot be; the message names it and what it takes."""

    code = "invalid-setting"
    title = "Invalid setting"


class CommandFailed(TBBridgeError):
    """A command of the command line cannot do its work; the message is what it prints, and its exit code is 1."""

    code = "command-failed"
    title = "Command failed"


class Unavailable(Unready):
    """Raised by the clients: the server did not take what was logged in the time given."""

    code = "unavailable"
    title = "Server unavailable"
    status = 503


class Rejected(TBBridgeError):
    """Raised by the clients: the server refused, and would refuse again. `errors` names the items where it did so."""

    code = "rejected"
    title = "Rejected by the server"

    def __init__(self, message: str, *, status: int, errors: Sequence[ItemError] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.errors = tuple(errors)


class PointsLost(TBBridgeError):
    """Raised by `flush()`: `count` points logged before it were dropped on this side and will never arrive."""

    code = "points-lost"
    title = "Points lost"
    status = 503

    def __init__(self, message: str, *, count: int) -> None:
        super().__init__(message)
        self.count = count


class WriteFailed(TBBridgeError, OSError):
    """Raised by a `SummaryWriter` that writes a local file: the disk refuses. What was logged waits, and is tried again."""

    code = "write-failed"
    title = "Write failed"
    status = 503
    retryable = True
