"""Errors that end a command in a sentence."""


class TrainingError(RuntimeError):
    """A training cannot begin or go on; the message names the reason and the remedy."""
