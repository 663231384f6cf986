"""Under which names, and for how long, jobs and the web process leave for each other what they tell."""

from __future__ import annotations

from typing import Final

KEPT_S: Final = 86_400  # what nobody fetched (the tab was closed) is forgotten; a machine may sleep for a night before


def stop_key(request_id: str) -> str:
    """Of the wish that a job should end with what it has."""
    return f"stop-{request_id}"


def place_key(request_id: str) -> str:
    """Of where the job of a request tells its state: a key that Dash makes."""
    return f"{request_id}-place"


def told_key(key: str) -> str:
    """Of the state of a work."""
    return f"{key}-told"
