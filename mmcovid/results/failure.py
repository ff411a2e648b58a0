from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """An input that gave no result."""

    input: str  #: as it was given
    reason: str
