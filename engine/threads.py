"""How many threads torch computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
