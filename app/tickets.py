"""Proof in a link that the app made it: the page's own key must never stand in a URL, where histories keep it."""

from __future__ import annotations

import hashlib
import hmac
import time

from app.state import API_KEY

HOLDS_S = 3600.0


def proof(task_id: str, expires: int) -> str:
    """HMAC-SHA256 of a task and the Unix time until which its link holds."""
    return hmac.new(API_KEY.encode(), f"{task_id}:{expires}".encode(), hashlib.sha256).hexdigest()


def file_link(base: str, task_id: str, now: float | None = None) -> str:
    """Where the browser finds a task's file for the next hour. base: the app's path, empty or `/path`."""
    expires = int((time.time() if now is None else now) + HOLDS_S)
    return f"{base}/api/file/{task_id}?expires={expires}&proof={proof(task_id, expires)}"


def refusal(task_id: str, expires: str, given: str, now: float | None = None) -> str:
    """Why a link is not good, in words; empty where it is."""
    until = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 16 else 0
    if not hmac.compare_digest(proof(task_id, until).encode(), given.encode()):
        return "This link was not made by this app, or the app was started anew. Take it from the Generate page."
    if until < (time.time() if now is None else now):
        return "This link has expired. Reload the Generate page for a fresh one."
    return ""
