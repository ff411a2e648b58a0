from .card import (
    CARD_NAME,
    CITATION,
    INTENDED_USE,
    LIMITS,
    SCHEMA_VERSION,
    describe_config,
    licences,
    now,
    read_model_card,
    write_model_card,
)
from .markdown import to_markdown

__all__ = [
    'CARD_NAME', 'CITATION', 'INTENDED_USE', 'LIMITS', 'SCHEMA_VERSION',
    'describe_config', 'licences', 'now',
    'read_model_card', 'to_markdown', 'write_model_card'
]
