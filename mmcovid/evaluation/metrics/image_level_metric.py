import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix, roc_auc_score
from terminaltables import AsciiTable

from mmcovid.registry import METRICS
from mmcovid.statistics.class_scores import mean_over_classes

#: Per-class figures, in the order in which they are printed and returned.
CLASS_FIGURES = ('sensitivity', 'specificity', 'ppv', 'npv', 'f1', 'auroc')


def class_figures(truth: np.ndarray, pred: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """One-versus-rest figures of every class.

    Args:
        truth (np.ndarray): True labels, shape (n,).
        pred (np.ndarray): Predicted labels, shape (n,).
        scores (np.ndarray): Class scores, shape (n, K).

    Returns:
        dict[str, np.ndarray]: For each name in :data:`CLASS_FIGURES` an array of shape (K,),
        fractions in 0..1; nan where the figure is undefined (its denominator is 0).
    """
    labels = np.arange(scores.shape[1])
    counts = multilabel_confusion_matrix(truth, pred, labels=labels).astype(float)
    (tn, fp), (fn, tp) = counts.transpose(1, 2, 0)
    with np.errstate(invalid='ignore'):
        return dict(
            sensitivity=tp / (tp + fn),
            specificity=tn / (tn + fp),
            ppv=tp / (tp + fp),
            npv=tn / (tn + fn),
            f1=2 * tp / (2 * tp + fp + fn),
            auroc=np.array(
                [
                    roc_auc_score(truth == k, scores[:, k])
                    if 0 < np.sum(truth == k) < len(truth)
                    else np.nan
                    for k in labels
                ]
            ),
        )


@METRICS.register_module()
class ImageLevelMetric(BaseMetric):
    """Classification of whole slices.

    Returned are, as fractions in 0..1:

    - ``accuracy``;
    - per class ``<class>_sensitivity``, ``_specificity``, ``_ppv``, ``_npv``, ``_f1`` and
      ``_auroc``, each one-versus-rest;
    - ``macro_f1`` and ``macro_auroc``, means over the classes that have slices in the test set;
    - ``weighted_f1``, the class F1 weighted by the class shares of the test set, as in
      Ter-Sarkisov's papers;
    - ``confusion_matrix``, a list of lists of counts with the true classes as rows.

    A figure that the test set leaves undefined, such as the sensitivity of a class with no slice,
    is nan and is named in a warning. A class that has no slice does not enter the means over the
    classes, also where it is falsely predicted.

    Args:
        classes (Sequence[str], optional): Names of the image classes. Defaults to None:
            ``image_classes`` of the dataset's metainfo, or normal, cp, covid19 without one.
        **kwargs: Of :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'image'

    def __init__(self, classes: Sequence[str] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self._classes = classes

    @property
    def classes(self) -> tuple[str, ...]:
        """tuple[str]: Names of the image classes, in the order of their labels."""
        meta = self.dataset_meta or {}
        return tuple(self._classes or meta.get('image_classes', ('normal', 'cp', 'covid19')))

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the labels and scores of a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Samples with ``gt_label`` and ``pred_label`` (one whole
                number each: an int, or a tensor, array or list of one) and ``pred_score`` (K
                numbers).

        Raises:
            ValueError: If a sample lacks one of the three, or one of them has the wrong size or
                is not finite.
        """
        for sample in data_samples:
            name = sample.get('img_path') or f'sample {len(self.results)}'
            for key in ('gt_label', 'pred_label', 'pred_score'):
                if key not in sample:
                    raise ValueError(
                        f'{name} has no {key}: only slices with a class label, '
                        'predicted by a model with an image-level head, can be scored by '
                        'ImageLevelMetric; mmcovid.TaskEvaluator sends it no others'
                    )
            scores = _numbers(sample['pred_score'], name, 'pred_score')
            if len(scores) != len(self.classes):
                raise ValueError(
                    f'{name}: {len(scores)} scores for {len(self.classes)} classes '
                    f'{self.classes}: give the metric or the dataset the classes of the model'
                )
            self.results.append(
                dict(
                    img_id=sample.get('img_id'),
                    patient_id=sample.get('patient_id'),
                    gt_label=self._label(sample['gt_label'], name, 'gt_label'),
                    pred_label=self._label(sample['pred_label'], name, 'pred_label'),
                    pred_score=scores,
                )
            )

    def _label(self, value: Any, name: str, key: str) -> int:
        """``value`` as one valid class label."""
        numbers = _numbers(value, name, key)
        if len(numbers) != 1 or numbers[0] not in range(len(self.classes)):
            raise ValueError(
                f'{name}: {key} must be one of 0..{len(self.classes) - 1} for the classes '
                f'{self.classes}, but is {value!r}'
            )
        return int(numbers[0])

    def compute_metrics(self, results: list[dict]) -> dict:
        """The figures over all slices.

        Args:
            results (list[dict]): What :meth:`process` kept, of all ranks.

        Returns:
            dict: See the class; every value is a float but the confusion matrix.

        Raises:
            ValueError: If there is no slice to score.
        """
        if not results:
            raise ValueError(
                'ImageLevelMetric has no slice to score: the test set holds no class-labelled '
                'slice, or the evaluator passed none on'
            )
        truth = np.array([result['gt_label'] for result in results])
        pred = np.array([result['pred_label'] for result in results])
        scores = np.array([result['pred_score'] for result in results])
        matrix = confusion_matrix(truth, pred, labels=np.arange(len(self.classes)))
        figures = class_figures(truth, pred, scores)

        support = matrix.sum(axis=1)
        present = support > 0  # the F1 of a class that has slices is always defined
        metrics = dict(
            accuracy=float(np.mean(truth == pred)),
            macro_f1=float(mean_over_classes(figures['f1'][None], support[None])[0]),
            weighted_f1=float(np.average(figures['f1'][present], weights=support[present])),
            macro_auroc=float(mean_over_classes(figures['auroc'][None])[0]),
        )
        for k, name in enumerate(self.classes):
            metrics.update({f'{name}_{key}': float(figures[key][k]) for key in CLASS_FIGURES})
        metrics['confusion_matrix'] = matrix.tolist()

        self._report(metrics, matrix)
        return metrics

    def _report(self, metrics: dict, matrix: np.ndarray) -> None:
        """Log the figures as two tables and name those that are undefined."""
        per_class = [['class', 'slices', *CLASS_FIGURES]]
        confusion = [['truth \\ predicted', *self.classes]]
        for k, name in enumerate(self.classes):
            figures = [f'{metrics[f"{name}_{key}"]:.4f}' for key in CLASS_FIGURES]
            per_class.append([name, matrix[k].sum(), *figures])
            confusion.append([name, *matrix[k]])
        summary = '  '.join(
            f'{key} {metrics[key]:.4f}'
            for key in ('accuracy', 'macro_f1', 'weighted_f1', 'macro_auroc')
        )
        tables = '\n'.join(AsciiTable(table).table for table in (per_class, confusion))
        print_log(f'Slices by class, {matrix.sum()} in all: {summary}\n{tables}', logger='current')

        absent = [name for name, slices in zip(self.classes, matrix.sum(axis=1)) if not slices]
        if absent:
            print_log(
                f'The test set has no slice of {", ".join(absent)}: macro figures are means '
                'over the other classes.',
                logger='current',
            )
        undefined = [key for key, value in metrics.items() if np.any(np.isnan(value))]
        if undefined:
            print_log(
                f'Undefined on this test set, given as nan: {", ".join(undefined)}. (A class has '
                'no slice, or no other class has one, or it is never, or always, predicted.)',
                logger='current',
                level=logging.WARNING,
            )


def _numbers(value: Any, name: str, key: str) -> list[float]:
    """``value`` (number, list, array or tensor) as a flat list of finite floats."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().double().numpy()  # numpy has no bfloat16
    numbers = np.asarray(value, dtype=float).ravel()
    if not np.isfinite(numbers).all():
        raise ValueError(
            f'{name}: {key} is not finite ({value!r}): the weights have probably diverged'
        )
    return numbers.tolist()
