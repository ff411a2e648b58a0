import json

import pytest
import torch
from mmengine.config import Config

from mmcovid import cards
from mmcovid.cards import facts as facts_of
from mmcovid.cards.record import record_test
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set
from mmcovid.datasets import LesionDataset, SliceDataset, TwoTaskDataset
from mmcovid.utils.files import sha256

METRICS = {'image/accuracy': 0.5, 'image/cp_ppv': float('nan')}


@pytest.fixture(scope='module')
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'phantom'
    write_phantom_set(
        root,
        dict(train=SplitSize(2, 2)),
        dict(train=SplitSize(1, 3)),
        size=128,
        show_progress=False,
    )
    return root


def two_sets(root, **options):
    return TwoTaskDataset(
        seg=LesionDataset(
            ann_file='annotations/lesions_train.json',
            data_root=str(root),
            data_prefix=dict(img='ct_lesion_seg/image/'),
            **options,
        ),
        cls=SliceDataset(
            'covidx_ct/train_phantom.txt',
            data_root=str(root),
            data_prefix=dict(img='covidx_ct/2A_images/'),
            **options,
        ),
        **options,
    )


def make_card(**values):
    run = dict(
        begun='then',
        from_iteration=0,
        to_iteration=9,
        seconds=3661.4,
        seed=1,
        deterministic=False,
        config_hash='0' * 64,
        software=None,
        hardware=None,
    )
    return dict(
        dict(
            schema_version=1,
            name='x',
            model=None,
            classes=['lung'],
            image_classes=['normal'],
            config=dict(file='x.py', hash='0' * 64, model_hash='0' * 64),
            initial_weights=None,
            training=dict(
                finished=True,
                iterations=9,
                epochs=None,
                max_iterations=9,
                batch={},
                optimizer={},
                unrecorded_iterations=0,
            ),
            runs=[run],
            data={},
            licences={},
            checkpoint=None,
            validation=None,
            tests=[],
            intended_use='Research.',
            limits=['None known.'],
            citation='Me.',
            missing={},
        ),
        **values,
    )


def test_data_are_counted_and_carry_their_card(phantom):
    lesions, slices = facts_of.data_facts(two_sets(phantom))
    assert (lesions['dataset'], lesions['task']) == ('LesionDataset', 'seg')
    assert (lesions['slices'], lesions['patients']) == (6, 2)
    assert list(lesions['classes']) == ['lung', 'ggo', 'consolidation']
    (annotation,) = lesions['annotations']
    assert annotation['file'] == 'annotations/lesions_train.json'  # and no folder of the machine
    assert annotation['sha256'] == sha256(phantom / annotation['file'])
    split = annotation['data_card']['split']
    for name, counts in lesions['classes'].items():  # the converter counted by itself
        assert counts == dict(
            slices=split['slices_with'][name],
            patients=split['patients_with'][name],
            instances=split['instances'][name],
        )
    assert (slices['slices'], slices['patients']) == (12, 6)
    assert slices['slices_of_unknown_patients'] == 0
    assert slices['classes'] == dict.fromkeys(
        ('normal', 'cp', 'covid19'), dict(slices=4, patients=2)
    )
    assert str(phantom) not in json.dumps([lesions, slices])


def test_what_is_not_loaded_is_not_counted(phantom):
    for facts in facts_of.data_facts(two_sets(phantom, lazy_init=True)):
        assert 'slices' not in facts
        assert facts['annotations'][0]['data_card']['source'] == 'phantom of mmcovid'


def test_a_draw_is_told(phantom):
    slices = SliceDataset(
        'covidx_ct/train_phantom.txt',
        data_root=str(phantom),
        data_prefix=dict(img='covidx_ct/2A_images/'),
        per_class=3,
    )
    facts = facts_of.data_facts(slices)
    assert facts[0]['per_class'] == 3 and facts[0]['slices'] == 9
    assert '3 slices of each class, a fixed draw' in cards.to_markdown(
        make_card(data=dict(val=facts), updated='now')
    )


def test_licences_are_those_of_the_data_cards(phantom, tmp_path):
    facts = facts_of.data_facts(two_sets(phantom))
    assert cards.licences(dict(data=dict(train=facts))) == {
        'phantom of mmcovid': 'generated, shows no patient'
    }

    # a list without a card, though its names are like those of a known collection
    (tmp_path / 'own.txt').write_text((phantom / 'covidx_ct/train_phantom.txt').read_text())
    own = SliceDataset(
        str(tmp_path / 'own.txt'), data_prefix=dict(img=str(phantom / 'covidx_ct/2A_images'))
    )
    facts += facts_of.data_facts(own)
    assert cards.licences(dict(data=dict(train=facts))) == {
        'phantom of mmcovid': 'generated, shows no patient',
        'own.txt': 'not stated',
    }
    folder = SliceDataset(data_prefix=dict(img=str(phantom / 'covidx_ct/2A_images')))
    assert cards.licences(dict(data=dict(train=facts_of.data_facts(folder)))) == {
        '2A_images': 'not stated'
    }


def test_edited_annotations_are_told(phantom, tmp_path):
    for name in ('lesions_train.json', 'dataset_card.json'):
        (tmp_path / name).write_text((phantom / 'annotations' / name).read_text())
    with open(tmp_path / 'lesions_train.json', 'a') as file:
        file.write('\n')
    dataset = LesionDataset(
        ann_file=str(tmp_path / 'lesions_train.json'),
        data_prefix=dict(img=str(phantom / 'ct_lesion_seg/image')),
    )
    facts = facts_of.data_facts(dataset)
    assert not facts[0]['annotations'][0]['data_card']['as_converted']
    assert 'changed since its conversion' in cards.to_markdown(
        dict(make_card(data=dict(train=facts)), updated='now')
    )


def test_tests_are_added_to_the_card_of_the_checkpoint(phantom, tmp_path):
    checkpoint, other = tmp_path / 'iter_9.pth', tmp_path / 'iter_6.pth'
    torch.save(dict(state_dict={}), checkpoint)
    torch.save(dict(state_dict=dict(a=torch.ones(1))), other)
    cfg, dataset = Config(dict(model=dict(depth=18))), two_sets(phantom)
    deeper = Config(dict(model=dict(depth=34)))
    assert record_test(cfg, dataset, checkpoint, METRICS) is None
    assert not (tmp_path / cards.CARD_NAME).exists()

    cards.write_model_card(make_card(config=cards.describe_config(cfg)), tmp_path)
    for tested, config, accuracy in (
        (checkpoint, cfg, 0.1),
        (checkpoint, deeper, 0.2),
        (other, cfg, 0.3),
        (checkpoint, cfg, 0.4),
    ):  # the last is the first again
        metrics = dict(METRICS, **{'image/accuracy': accuracy})
        assert record_test(config, dataset, tested, metrics) == tmp_path / cards.CARD_NAME
    card = cards.read_model_card(tmp_path)
    assert [test['metrics']['image/accuracy'] for test in card['tests']] == [0.2, 0.3, 0.4]
    assert card['tests'][-1]['metrics']['image/cp_ppv'] is None
    assert card['tests'][-1]['checkpoint'] == dict(file='iter_9.pth', sha256=sha256(checkpoint))
    assert card['tests'][-1]['data'][1]['slices'] == 12
    text = (tmp_path / 'model_card.md').read_text(encoding='utf-8')
    assert text.count('Test of `iter_9.pth`') == 2
    assert text.count('another model than in the training') == 1
    assert text.count('model as in the training') == 2
    assert 'undefined' in text and '1:01:01' in text


def test_foreign_files_are_no_cards(tmp_path):
    for content in ('{"cut', '[]', '{"schema_version": "one"}', '{}'):
        (tmp_path / cards.CARD_NAME).write_text(content)
        with pytest.raises(ValueError, match='model_card.json: not a model card.*Move'):
            cards.read_model_card(tmp_path)
    (tmp_path / cards.CARD_NAME).write_text('{"schema_version": 99}')
    with pytest.raises(ValueError, match='newer mmcovid'):
        cards.read_model_card(tmp_path)


def test_headings_are_those_of_model_cards():
    text = cards.to_markdown(
        make_card(updated='now', missing={'the model': 'OSError: gone | away'})
    )
    headings = [line[3:] for line in text.splitlines() if line.startswith('## ')]
    assert headings == [
        'Model details',
        'Intended use',
        'Factors',
        'Metrics',
        'Evaluation data',
        'Training data',
        'Quantitative analyses',
        'Ethical considerations',
        'Caveats and recommendations',
        'How to cite',
        'What this card lacks',
    ]


def test_initial_weights_are_named(tmp_path):
    torch.save({}, tmp_path / 'first.pth')
    cfg = Config(
        dict(
            load_from=str(tmp_path / 'first.pth'),
            model=dict(
                type='X',
                backbone=dict(
                    type='Y', init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')
                ),
            ),
        )
    )
    assert facts_of.initial_weights(cfg) == [
        dict(of='backbone', source='torchvision://resnet18', sha256=None),
        dict(of='model', source='first.pth', sha256=sha256(tmp_path / 'first.pth')),
    ]
