"""`Member`: one of a group, with the log calls of a run. The server's groups make the run and the tags of what it logs.

The client needs no table of groups and no server to log: the name travels as it is (`tbbridge.groups.MemberName`), and what the
server cannot place is refused there, named, and reported as every refused value is.
"""

from __future__ import annotations

from tbbridge.client.run import Run
from tbbridge.groups import member_name
from tbbridge.model import RunName


class Member(Run):
    """Logs one member of a group. Made by `client.member`; all else is as in `Run`. Its name is `group/name`."""

    def _named(self, name: str) -> RunName:
        return member_name(name)

    @property
    def name(self) -> str:
        """The member's name; its run's name is the server's to make."""
        return str(self._name)

    def __repr__(self) -> str:
        return f"<Member {self.name!r} at step {self._step}>"
