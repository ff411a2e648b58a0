"""Put into the model card what is found out of a test."""
from pathlib import Path

from mmengine.config import Config

from mmcovid.utils.files import sha256, to_plain
from mmcovid.utils.provenance import now

from .card import CARD_NAME, describe_config, read_model_card, write_model_card
from .facts import data_facts, software_facts


def record_test(cfg: Config, dataset, checkpoint: str | Path, metrics: dict) -> Path | None:
    """Add the figures of a test to the card beside a checkpoint.

    The same test of the same checkpoint replaces the former one.

    Args:
        cfg (Config): Config of the test.
        dataset (BaseDataset or ConcatDataset): What was tested on.
        checkpoint (str | Path): The tested checkpoint.
        metrics (dict): Figures by name.

    Returns:
        Path | None: The card; None if there is none beside the checkpoint.

    Raises:
        OSError, ValueError: The card cannot be read or written.
    """
    checkpoint = Path(checkpoint)
    card = read_model_card(checkpoint.parent)
    if card is None:
        return None
    test = dict(
        time=now(),
        checkpoint=dict(file=checkpoint.name, sha256=sha256(checkpoint)),
        config=describe_config(cfg),
        data=data_facts(dataset),
        software=software_facts(),
        metrics=to_plain(metrics))
    card['tests'] = [each for each in card['tests'] if _identity(each) != _identity(test)] + [test]
    write_model_card(card, checkpoint.parent)
    return checkpoint.parent / CARD_NAME


def _identity(test: dict) -> tuple:
    """What makes two tests the same: weights, config and data."""
    return (test['checkpoint']['sha256'], test['config']['hash'],
            [annotation['sha256'] for each in test['data'] for annotation in each['annotations']])
