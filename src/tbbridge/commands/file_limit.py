"""Raising the number of files a process may have open, for ourselves and for TensorBoard, which inherits it.

TensorBoard's data server keeps one file descriptor per event file for good, and at the limit its runs vanish from the page
every other second. The usual soft limit of 1024 is a thousand runs; the hard one is mostly far higher.
"""

from __future__ import annotations

import logging
import sys

from tbbridge import limits

log = logging.getLogger(__name__)


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one, as far as the system allows."""
    if sys.platform == "win32":
        return
    import resource  # not on Windows, where the client's commands run too

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    for wanted in (hard, limits.FILES_ALWAYS_GRANTED):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            log.debug("cannot raise the limit of open files from %d to %d: %s", soft, wanted, error)
        else:
            return
