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
    record_test,
    write_model_card,
)
from .facts import data_facts, hardware_facts, initial_weights, model_facts, software_facts
from .markdown import to_markdown

__all__ = [
    'CARD_NAME', 'CITATION', 'INTENDED_USE', 'LIMITS', 'SCHEMA_VERSION', 'data_facts',
    'describe_config', 'hardware_facts', 'initial_weights', 'licences', 'model_facts', 'now',
    'read_model_card', 'record_test', 'software_facts', 'to_markdown', 'write_model_card'
]
