import itertools
import subprocess

import mmengine.dist.utils
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import Runner

from mmcovid import cards
from mmcovid.cards import facts
from mmcovid.utils.files import sha256
from mmcovid.utils.provenance import config_hash

CONFIGS = (
    'one_shot/one-shot_x101-32x8d_fpn_attn_cncb.py',
    'baselines/mask-rcnn_r50_fpn_cncb.py',
    'phantom/classifier_r18_phantom.py',
    'one_shot/one-shot_r18_fpn_lstm2_ictcf.py',
)
NUMBERS = itertools.count()


@DATASETS.register_module(force=True)
class CardSet(torch.utils.data.Dataset):
    metainfo = dict(classes=('lung', 'ggo'), image_classes=('normal', 'covid19'))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.tensor(float(index)))


@MODELS.register_module(force=True)
class CardModel(BaseModel):
    fails_at = None

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 3)
        self.frozen = torch.nn.Linear(1, 1).requires_grad_(False)
        self.steps = 0

    def forward(self, inputs, mode='tensor'):
        if mode == 'loss':
            self.steps += 1
            if self.steps == self.fails_at:
                raise RuntimeError('out of memory')
            return dict(loss=self.layer(torch.stack(inputs)[:, None]).mean())
        return [dict(number=x) for x in inputs]


@METRICS.register_module(force=True)
class CardMetric(BaseMetric):
    default_prefix = 'image'

    def process(self, data_batch, data_samples):
        self.results += [float(sample['number']) for sample in data_samples]

    def compute_metrics(self, results):
        return dict(accuracy=0.25, covid19_ppv=float('nan'), confusion_matrix=[[1, 2], [3, 4]])


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train in ``tmp_path/<work_dir>``; the card that it leaves."""

    def run(work_dir='run', iters=4, fails_at=None, seed=5, **options):
        loader = dict(batch_size=2, num_workers=0, dataset=dict(type='CardSet'))
        cfg = Config(
            dict(
                model=dict(type='CardModel'),
                work_dir=str(tmp_path / work_dir),
                train_dataloader=dict(loader, sampler=dict(type='InfiniteSampler')),
                val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
                val_evaluator=dict(type='CardMetric'),
                val_cfg=dict(),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                train_cfg=dict(by_epoch=False, max_iters=iters, val_interval=4),
                default_hooks=dict(
                    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
                    model_card=dict(type='mmcovid.ModelCardHook'),
                ),
                log_processor=dict(by_epoch=False),
                randomness=dict(seed=seed),
                experiment_name=f'card {next(NUMBERS)}',
                **options,
            )
        )
        monkeypatch.setattr(CardModel, 'fails_at', fails_at)
        Runner.from_cfg(cfg).train()
        return cfg, cards.read_model_card(tmp_path / work_dir)

    return run


@pytest.mark.parametrize('path', CONFIGS)
def test_every_config_keeps_a_card(path, load_config):
    assert load_config(path).default_hooks.model_card.type == 'mmcovid.ModelCardHook'


def test_card_of_a_training(train, tmp_path):
    cfg, card = train()
    assert card['schema_version'] == 1
    assert card['missing'] == {}
    assert card['model'] == dict(
        detector='CardModel',
        parameters=8,
        trainable=6,
        parts=dict(
            data_preprocessor=dict(type='BaseDataPreprocessor', parameters=0),
            layer=dict(type='Linear', parameters=6),
            frozen=dict(type='Linear', parameters=2),
        ),
    )
    assert card['config']['hash'] == config_hash(cfg)
    assert (card['training']['finished'], card['training']['iterations']) == (True, 4)
    assert card['training']['batch']['size'] == 2
    assert card['training']['optimizer']['type'] == 'SGD'
    (run,) = card['runs']
    assert (run['seed'], run['from_iteration'], run['to_iteration']) == (5, 0, 4)
    assert run['software']['torch'] == torch.__version__
    assert run['hardware']['processes'] == 1
    assert card['checkpoint'] == dict(
        file='iter_4.pth', sha256=sha256(tmp_path / 'run/iter_4.pth'), iteration=4
    )
    assert card['validation'] == dict(
        iteration=4,
        metrics={
            'image/accuracy': 0.25,
            'image/covid19_ppv': None,
            'image/confusion_matrix': [[1, 2], [3, 4]],
        },
    )
    assert card['data']['train'][0]['slices'] == 4
    assert card['data']['test'] == []

    text = (tmp_path / 'run/model_card.md').read_text(encoding='utf-8')
    for words in (
        '# Model card: model',
        '## Intended use',
        'no medical device',
        '4 of 4',
        '0.2500',
        'Ter-Sarkisov',
        'iter_4.pth',
    ):
        assert words in text
    assert 'not finished' not in text


def test_broken_and_resumed_training(train, tmp_path):
    with pytest.raises(RuntimeError, match='out of memory'):
        train(iters=6, fails_at=6)
    card = cards.read_model_card(tmp_path / 'run')
    assert not card['training']['finished']
    assert card['training']['iterations'] == 4
    assert 'not finished' in (tmp_path / 'run/model_card.md').read_text()
    card['tests'] = [dict(card_test(card), metrics={'image/accuracy': 0.5})]
    cards.write_model_card(card, tmp_path / 'run')

    _, card = train(iters=8, resume=True, seed=7)
    assert card['training']['finished']
    assert [(run['from_iteration'], run['to_iteration']) for run in card['runs']] == [
        (0, 4),
        (4, 8),
    ]
    assert card['runs'][0]['config_hash'] != card['runs'][1]['config_hash']
    assert card['training']['unrecorded_iterations'] == 0
    assert card['validation']['iteration'] == 8
    assert len(card['tests']) == 1
    text = (tmp_path / 'run/model_card.md').read_text()
    assert '| 0 to 4 |' in text and '| 4 to 8 |' in text

    # from a checkpoint elsewhere, whose card goes on, and one whose card is lost
    _, moved = train('moved', 10, resume=True, load_from=str(tmp_path / 'run/iter_8.pth'))
    assert [run['to_iteration'] for run in moved['runs']] == [4, 8, 10]
    (tmp_path / 'run' / cards.CARD_NAME).unlink()
    _, lost = train('lost', 10, resume=True, load_from=str(tmp_path / 'run/iter_8.pth'))
    assert [run['from_iteration'] for run in lost['runs']] == [8]
    assert lost['training']['unrecorded_iterations'] == 8
    assert 'first 8 iterations there is no record' in (tmp_path / 'lost/model_card.md').read_text()


def card_test(card):
    return dict(time='t', checkpoint=dict(file='a.pth', sha256='0'), config=card['config'], data=[])


def test_new_training_begins_a_new_card(train):
    train()
    _, card = train(seed=6)
    assert [run['seed'] for run in card['runs']] == [6]


def test_what_fails_is_named_and_ends_no_training(train, tmp_path, monkeypatch, capfd):
    def fail(*args):
        raise OSError('disk is gone')

    with monkeypatch.context() as patch:
        patch.setattr(facts, 'software_facts', fail)
        patch.setattr(facts, 'data_facts', fail)
        _, card = train()
    assert set(card['missing']) == {'the software', 'the train data', 'the val data'}
    assert card['training']['finished']
    assert '- the software: OSError: disk is gone' in (tmp_path / 'run/model_card.md').read_text()
    assert 'the model card lacks the software' in ''.join(capfd.readouterr())

    (tmp_path / 'run' / cards.CARD_NAME).write_text('{"cut')
    _, card = train(iters=6, resume=True)
    assert 'not a model card' in card['missing']['the card of the resumed training']
    assert card['training']['unrecorded_iterations'] == 4

    monkeypatch.setattr(cards, 'write_model_card', fail)
    _, card = train('unwritten')
    assert card is None
    assert (tmp_path / 'unwritten/iter_4.pth').is_file()


def test_main_process_only(train, tmp_path, monkeypatch):
    monkeypatch.setattr(mmengine.dist.utils, 'is_main_process', lambda group=None: False)
    assert train()[1] is None


def test_commit_of_a_clone(repo):
    from mmcovid.utils.provenance import git_state

    if not (repo / '.git').exists():
        assert git_state() is None
        return
    head = subprocess.run(['git', '-C', repo, 'rev-parse', 'HEAD'], capture_output=True, text=True)
    assert git_state()['commit'] == head.stdout.strip()
