"""Model cards: what a model is, what it was trained on, and how it was tested."""

from .card import describe_config, licences, read_model_card, write_model_card
from .markdown import to_markdown
from .schema import CARD_NAME, Card

__all__ = [
    'CARD_NAME',
    'Card',
    'describe_config',
    'licences',
    'read_model_card',
    'to_markdown',
    'write_model_card',
]
