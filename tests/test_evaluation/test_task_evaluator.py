import pickle
import socket

import pytest
import torch
import torch.multiprocessing as mp
from mmdet.structures import DetDataSample
from mmengine.evaluator import BaseMetric, DumpResults
from mmengine.registry import EVALUATOR, init_default_scope

from mmcovid.evaluation import ImageLevelMetric, TaskEvaluator


class KeepIds(BaseMetric):
    """Reports the ids that it was given."""

    default_prefix = 'ids'

    def process(self, data_batch, data_samples):
        if data_batch is not None:
            assert [f'input {s["img_id"]}' for s in data_samples] == data_batch['inputs']
        self.results += [sample['img_id'] for sample in data_samples]

    def compute_metrics(self, results):
        return dict(all=list(results), count=len(results))


def sample(img_id, task, label=0):
    element = DetDataSample(metainfo=dict(img_id=img_id, task=task))
    if task == 'cls':
        element.gt_label = torch.tensor([label])
        element.pred_label = torch.tensor([label])
        element.pred_score = torch.eye(3)[label]
    return element


def evaluator():
    return TaskEvaluator(
        metrics=dict(
            seg=[KeepIds(prefix='seg')],
            cls=[dict(type='mmcovid.ImageLevelMetric'), KeepIds(prefix='cls')],
        )
    )


def test_each_task_goes_to_its_metrics():
    tested = evaluator()
    batch = [sample(0, 'seg'), sample(1, 'cls', 2), sample(2, 'cls', 1)]
    tested.process(batch, dict(inputs=['input 0', 'input 1', 'input 2']))
    tested.process([sample(3, 'seg').to_dict()], dict(inputs=['input 3']))
    metrics = tested.evaluate(4)
    assert metrics['seg/all'] == [0, 3]
    assert metrics['cls/all'] == [1, 2]
    assert metrics['image/accuracy'] == 1


def test_one_metric_needs_no_list_and_config_builds():
    tested = EVALUATOR.build(
        dict(type='mmcovid.TaskEvaluator', metrics=dict(cls=dict(type='mmcovid.ImageLevelMetric')))
    )
    tested.dataset_meta = dict(image_classes=('a', 'b', 'c'))
    tested.process([sample(0, 'cls'), sample(1, 'cls', 1), sample(2, 'cls', 2)])
    assert tested.evaluate(3)['image/c_sensitivity'] == 1


def test_appended_metric_sees_all_slices(tmp_path):
    tested = evaluator()
    tested.metrics.append(DumpResults(str(tmp_path / 'out.pkl')))
    tested.process([sample(0, 'seg'), sample(1, 'cls')])
    tested.evaluate(2)
    dumped = pickle.loads((tmp_path / 'out.pkl').read_bytes())
    assert [each['img_id'] for each in dumped] == [0, 1]


def test_task_without_slices_is_left_out_and_can_come_later():
    tested = evaluator()
    tested.process([sample(0, 'seg')])
    assert set(tested.evaluate(1)) == {'seg/all', 'seg/count'}
    tested.process([sample(1, 'cls', 1)])
    assert set(tested.evaluate(1)) >= {'image/accuracy', 'cls/all'}


def test_slices_counted_twice_are_refused():
    tested = evaluator()
    tested.process([sample(0, 'seg'), sample(1, 'seg'), sample(0, 'seg')])
    with pytest.raises(RuntimeError, match='round_up=False'):
        tested.evaluate(2)


def test_sample_without_task_is_named():
    with pytest.raises(ValueError, match='a.png does not tell its task'):
        evaluator().process([dict(img_path='a.png')])


def test_same_metric_name_twice_is_refused_as_in_the_stock_evaluator():
    tested = TaskEvaluator(metrics=dict(seg=[KeepIds()], cls=[KeepIds()]))
    tested.process([sample(0, 'seg'), sample(1, 'cls')])
    with pytest.raises(ValueError, match='ids/all'):
        tested.evaluate(2)


@pytest.mark.parametrize('metrics', [[dict(type='CocoMetric')], dict(type='CocoMetric')])
def test_metrics_without_tasks_are_refused(metrics):
    with pytest.raises(TypeError, match='from task to metrics'):
        TaskEvaluator(metrics)


def _rank(rank, port, folder):
    """One of two processes: rank 0 has no slice of task cls; 3 and 2 slices in all."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    init_default_scope('mmdet')
    samples = [
        [sample(0, 'seg'), sample(2, 'seg'), sample(4, 'seg')],
        [sample(1, 'cls', 1), sample(3, 'cls', 2)],
    ][rank]
    tested = TaskEvaluator(
        metrics=dict(
            seg=KeepIds(prefix='seg', collect_dir=f'{folder}/seg'),
            cls=[ImageLevelMetric(collect_dir=f'{folder}/cls')],
            other=KeepIds(prefix='other'),
        )
    )
    for each in samples:
        tested.process([each])
    metrics = tested.evaluate(5)
    tested.process(samples)
    try:
        tested.evaluate(4)
        refused = False
    except RuntimeError:
        refused = True
    torch.save(dict(metrics, refused=refused), f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_with_uneven_shares(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(_rank, args=(port, str(tmp_path)), nprocs=2)
    results = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    for metrics in results:  # the same on both ranks
        assert metrics['seg/all'] == [0, 2, 4]
        assert metrics['image/confusion_matrix'] == [[0, 0, 0], [0, 1, 0], [0, 0, 1]]
        assert 'other/all' not in metrics
        assert metrics['refused']
