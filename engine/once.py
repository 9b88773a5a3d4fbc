"""Values that are made once, by whichever thread asks first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Once:
    """A cache by key. Safe to use from several threads: asking for what is there never waits for what is being
    made."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._locks: dict[Hashable, threading.RLock] = {}
        self._made: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of this key, made now unless it is there."""
        try:
            return self._made[key]
        except KeyError:
            pass
        with self._making:
            lock = self._locks.setdefault(key, threading.RLock())
        with lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def forget(self, chosen: Callable[[Any], bool]) -> None:
        """Drop the keys that `chosen` is true of."""
        with self._making:
            for key in [key for key in self._made if chosen(key)]:
                del self._made[key]
                self._locks.pop(key, None)
