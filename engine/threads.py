"""How many threads torch and numpy compute with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def choose_threads() -> int:
    """One core stays free for app and server: threads that wait for each other spin, and two beside other work made a
    run 20 × slower, and an answer to a page 1.5 × [measured]."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """A single one meanwhile: small work is not worth sharing, and two threads beside other work took 14 times as long
    [measured, showers drawn in blocks]."""
    import torch  # data sets and what lists them do without it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
