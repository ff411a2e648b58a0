"""Begin a model card, and add to it what tests find out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmcovid.utils.files import sha256, to_plain
from mmcovid.utils.provenance import now

from .card import (
    CITATION,
    INTENDED_USE,
    LIMITS,
    describe_config,
    licences,
    read_model_card,
    write_model_card,
)
from .facts import data_facts, software_facts
from .schema import (
    CARD_NAME,
    SCHEMA_VERSION,
    Card,
    InitialWeights,
    ModelFacts,
    SetFacts,
    TestRecord,
)


def begin_card(
    cfg: Config,
    previous: Card | None,
    *,
    metainfo: Mapping[str, Any],
    iteration: int,
    max_iterations: int,
    seed: int,
    deterministic: bool,
    model: ModelFacts | None,
    initial_weights: list[InitialWeights] | None,
    software: dict | None,
    hardware: dict | None,
    data: dict[str, list[SetFacts]],
    missing: dict[str, str],
) -> Card:
    """The card of a training that begins, or that goes on where another one ended.

    Args:
        cfg (Config): Config of the training.
        previous (Card, optional): Card of the resumed training.
        metainfo (Mapping): Of the training set.
        iteration (int): Where the training begins.
        max_iterations (int): Where it ends.
        seed (int): Its seed.
        deterministic (bool): Whether algorithms are deterministic.
        model (ModelFacts, optional): The model; what is None could not be found out, and so on.
        initial_weights (list[InitialWeights], optional): What its weights begin as.
        software (dict, optional): Versions.
        hardware (dict, optional): Device, processes, CPU.
        data (dict[str, list[SetFacts]]): Sets by role.
        missing (dict[str, str]): What could not be found out, and why.

    Returns:
        Card: To be written by :func:`write_model_card`.
    """
    config, loader = describe_config(cfg), cfg.train_dataloader
    card = Card(
        schema_version=SCHEMA_VERSION,
        name=Path(config['file'] or 'model').stem,
        model=model,
        classes=list(metainfo.get('classes', ())),
        image_classes=list(metainfo.get('image_classes', ())),
        config=config,
        initial_weights=initial_weights,
        training=dict(
            finished=False,
            max_iterations=max_iterations,
            batch=dict(
                size=loader.get('batch_size'),
                source_ratio=loader.get('sampler', {}).get('source_ratio'),
                accumulated=cfg.optim_wrapper.get('accumulative_counts', 1),
            ),
            optimizer=dict(
                cfg.optim_wrapper.get('optimizer', {}), wrapper=cfg.optim_wrapper.get('type')
            ),
            unrecorded_iterations=(
                previous['training']['unrecorded_iterations'] if previous else iteration
            ),
        ),
        runs=[
            *(previous['runs'] if previous else ()),
            dict(
                begun=now(),
                from_iteration=iteration,
                seed=seed,
                deterministic=deterministic,
                config_hash=config['hash'],
                software=software,
                hardware=hardware,
            ),
        ],
        data=data,
        checkpoint=previous['checkpoint'] if previous else None,
        validation=previous['validation'] if previous else None,
        tests=previous['tests'] if previous else [],
        intended_use=INTENDED_USE,
        limits=list(LIMITS),
        citation=CITATION,
        missing=missing,
    )
    card['licences'] = licences(card)
    return card


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
    test = TestRecord(
        time=now(),
        checkpoint=dict(file=checkpoint.name, sha256=sha256(checkpoint)),
        config=describe_config(cfg),
        data=data_facts(dataset),
        software=software_facts(),
        metrics=to_plain(metrics),
    )
    others = [known for known in card['tests'] if _identity(known) != _identity(test)]
    card['tests'] = [*others, test]
    write_model_card(card, checkpoint.parent)
    return checkpoint.parent / CARD_NAME


def _identity(test: TestRecord) -> tuple:
    """What makes two tests the same: weights, config and data."""
    return (
        test['checkpoint']['sha256'],
        test['config']['hash'],
        [annotation['sha256'] for each in test['data'] for annotation in each['annotations']],
    )
