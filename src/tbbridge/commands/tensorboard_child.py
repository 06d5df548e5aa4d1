"""Stock TensorBoard, in a process that ends when the one that started it does, however that ended.

Run as `python -m tbbridge.commands.tensorboard_child FLAGS...` with a pipe as standard input. Nobody writes to the pipe; its
end, which the system sees to even when the parent is killed with SIGKILL, is the order to stop. TensorBoard itself is
untouched: its own `main` runs with the flags as given.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Final

# TensorBoard answers SIGTERM within a fraction of a second; what has not ended by then is stuck.
GRACE_S: Final = 3.0


def stop_at_end_of_input(descriptor: int) -> None:
    """Wait for the end of the pipe, then end this process: in TensorBoard's own way first, and then in any case."""
    while os.read(descriptor, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def main() -> None:
    """Run TensorBoard with this process's arguments until it ends or standard input does."""
    threading.Thread(target=stop_at_end_of_input, args=(sys.stdin.fileno(),), daemon=True).start()
    from tensorboard.main import run_main  # after the thread: importing it takes seconds, and the parent may die meanwhile

    sys.argv[0] = "tensorboard"
    run_main()


if __name__ == "__main__":
    main()
