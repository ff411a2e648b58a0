from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Something that could not be read, and why."""

    input: str
    reason: str
