import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement

from mmcovid.registry import EVALUATOR


@EVALUATOR.register_module()
class TaskEvaluator(Evaluator):
    """Evaluator of a test set whose slices belong to different tasks.

    Each metric is given the slices of its own task only: :class:`mmdet.evaluation.CocoMetric`
    cannot deal with slices that have no lesion annotation, nor an image-level metric with slices
    that have no class. A metric that is appended to :attr:`metrics` afterwards, as test scripts
    do to dump predictions, is given all slices.

    A task of which the set has no slice is left out of the result, and the log says so.

    Args:
        metrics (dict): For each task, as in ``sample['task']``, a metric or a list of metrics
            (configs or objects).

    Raises:
        TypeError: If ``metrics`` is not a dict of tasks.

    Examples:
        >>> TaskEvaluator(metrics=dict(
        ...     seg=[dict(type='CocoMetric', metric=['bbox', 'segm'])],
        ...     cls=dict(type='mmcovid.ImageLevelMetric')))
    """

    def __init__(self, metrics: dict[str, dict | BaseMetric | Sequence]) -> None:
        if not isinstance(metrics, dict) or 'type' in metrics:
            raise TypeError(
                'metrics of a TaskEvaluator must be a dict from task to metrics, such as '
                f'dict(seg=[...], cls=[...]), but is {metrics!r}'
            )
        self.tasks = tuple(metrics)
        self._task_of: dict[BaseMetric, str] = {
            metric: task for task, own in metrics.items() for metric in Evaluator(own).metrics
        }
        super().__init__(list(self._task_of))
        self._counts: Counter[str] = Counter()

    def process(
        self, data_samples: Sequence[BaseDataElement | dict], data_batch: Any | None = None
    ) -> None:
        """Give each metric the slices of its task.

        Args:
            data_samples (Sequence[BaseDataElement | dict]): Predictions with the ground truth.
            data_batch (Any, optional): Batch that they were made from; metrics are given their
                part of it.

        Raises:
            ValueError: If a sample does not tell its task.
        """
        samples = [
            sample.to_dict() if isinstance(sample, BaseDataElement) else sample
            for sample in data_samples
        ]
        for sample in samples:
            if 'task' not in sample:
                raise ValueError(
                    f'{sample.get("img_path", "a sample")} does not tell its task: let the test '
                    "pipeline end with mmcovid.PackSliceInputs, with 'task' among its meta_keys"
                )
        self._counts.update(sample['task'] for sample in samples)

        for metric in self.metrics:
            task = self._task_of.get(metric)
            chosen = [i for i, sample in enumerate(samples) if task in (None, sample['task'])]
            if chosen:
                metric.process(
                    _part(data_batch, chosen, len(samples)), [samples[i] for i in chosen]
                )

    def evaluate(self, size: int) -> dict:
        """Evaluate all metrics whose task has slices.

        Args:
            size (int): Number of slices in the whole test set.

        Returns:
            dict: Figures of all metrics.

        Raises:
            RuntimeError: If the ranks together processed more slices than the set has.
        """
        counts, self._counts = self._counts, Counter()
        # The same on all ranks: a rank may have no slice of a task that the others have.
        total, *per_task = _sum_over_ranks([counts.total(), *(counts[task] for task in self.tasks)])
        if total > size:
            raise RuntimeError(
                f'{total} slices were evaluated where the test set has {size}: the sampler gave '
                'some to two processes, and they would count twice. Set '
                "sampler=dict(type='DefaultSampler', shuffle=False, round_up=False) in the val "
                'and test dataloaders'
            )
        if total < size:
            print_log(
                f'Only {total} of the {size} slices of the test set were evaluated.',
                logger='current',
                level=logging.WARNING,
            )
        if total > sum(per_task):
            print_log(
                f'{total - sum(per_task)} of {total} slices belong to no task with a metric '
                f'({", ".join(self.tasks)}) and were not scored.',
                logger='current',
                level=logging.WARNING,
            )

        empty = {task for task, count in zip(self.tasks, per_task) if count == 0}
        for task in sorted(empty):
            print_log(
                f'The test set has no slice of task "{task}": its metrics are left out.',
                logger='current',
            )
        active = [m for m in self.metrics if self._task_of.get(m) not in empty]
        return Evaluator(active).evaluate(size)


def _sum_over_ranks(counts: list[int]) -> list[int]:
    """Sum of each count over the processes."""
    tensor = torch.tensor(counts)
    all_reduce(tensor)
    return tensor.tolist()


def _part(batch: Any, chosen: list[int], size: int) -> Any:
    """The chosen samples of a collated batch of ``size``; other entries are passed on whole."""
    if isinstance(batch, dict):
        return {key: _part(value, chosen, size) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)) and len(batch) == size:
        return [batch[i] for i in chosen]
    if isinstance(batch, torch.Tensor) and batch.dim() and len(batch) == size:
        return batch[chosen]
    return batch
