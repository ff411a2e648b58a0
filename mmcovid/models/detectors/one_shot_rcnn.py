from collections.abc import Callable

import torch
from mmdet.models.utils import rename_loss_dict, reweight_loss_dict
from mmdet.structures import SampleList
from mmdet.structures.bbox import scale_boxes
from mmdet.utils import ConfigType, InstanceList
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData
from torch import Tensor

from mmcovid.models.image_heads import add_image_results
from mmcovid.registry import MODELS

from .two_task_detector import TwoTaskDetector, float_outputs

UPDATE_POLICIES = ('alternate', 'joint')
SYNC_POLICIES = ('improved', 'always', 'never')


@MODELS.register_module()
class OneShotRCNN(TwoTaskDetector):
    """One model that segments lesions and classifies the slice, trained in one shot.

    It is a two-stage detector with an attention head, which classifies the slice
    from a sequence of its Regions of Interest. A training batch has two named
    branches from two data sets, ``seg`` (slices with lesion masks) and
    ``cls`` (slices with an image label), as MMDetection's ``MultiBranch``
    makes them.

    Source: A. Ter-Sarkisov, "One Shot Model For COVID-19 Classification and
    Lesions Segmentation In Chest CT Scans Using LSTM With Attention
    Mechanism", IEEE Intelligent Systems, 2022.

    Args:
        attention_head (dict): Config of the attention head. Its ``num_rois``
            is that of the RoI head's sequence unless given.
        update_policy (str): ``'alternate'``: one optimiser step on the
            detection losses, then one on the image loss, as published;
            ``'joint'``: one step on their sum. Defaults to ``'alternate'``.
        sync_policy (str): Whether, in each iteration, the classification
            branch takes a fresh copy of the segmentation branch before its
            step (after it, if the step is joint): ``'improved'``, if the
            detection loss is below the last one's, as published;
            ``'always'``; ``'never'``. Defaults to ``'improved'``.
        task_weights (dict): Weights of the losses of the branches ``seg``
            and ``cls``. Defaults to 1 for both.
        **kwargs: Arguments of :class:`TwoTaskDetector`.
    """

    def __init__(
        self,
        *args,
        attention_head: ConfigType,
        update_policy: str = 'alternate',
        sync_policy: str = 'improved',
        task_weights: dict[str, float] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if update_policy not in UPDATE_POLICIES:
            raise ValueError(
                f'update_policy must be one of {UPDATE_POLICIES}, got {update_policy!r}'
            )
        if sync_policy not in SYNC_POLICIES:
            raise ValueError(f'sync_policy must be one of {SYNC_POLICIES}, got {sync_policy!r}')
        self.attention_head = MODELS.build(
            dict(num_rois=self.roi_head.num_rois) | dict(attention_head)
        )
        self.update_policy = update_policy
        self.sync_policy = sync_policy
        self.task_weights = dict(seg=1.0, cls=1.0) | dict(task_weights or {})
        self.roi_head.classification_branch.bbox_head.register_forward_hook(float_outputs)
        # in the state dict, so that a resumed training goes on as it would have
        self.register_buffer('last_seg_loss', torch.tensor(float('inf')))
        # of the batches since the last step, if gradients are accumulated
        self._seg_losses: list[Tensor] = []
        self._waiting: list[tuple[dict, dict]] = []

    @property
    def image_head(self) -> torch.nn.Module:
        """The attention head, by its role: what gives image logits has one name in all models."""
        return self.attention_head

    # training

    def train_step(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Train on one batch; see :meth:`update`."""
        data = self.data_preprocessor(data, True)
        return self.update(self, data, optim_wrapper)

    def update(
        self, forward: Callable, data: dict, optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        """Update the weights by the update policy.

        With ``accumulative_counts`` N of the optimiser wrapper each branch makes its step on the
        gradients of N batches: batches of ``cls`` wait until the step on the detection losses is
        made, so that N batches give what one of N times the size does. The mean detection loss of
        the N batches decides on the synchronisation.

        Args:
            forward (Callable): This model, or the wrapper it is trained in.
            data (dict): Preprocessed batch, with ``inputs`` and
                ``data_samples`` by branch.
            optim_wrapper (:obj:`OptimWrapper`): Updates the parameters.

        Returns:
            dict[str, Tensor]: Losses to log; those of waiting batches, as
            their mean, once these are used.

        Raises:
            TypeError: If the batch lacks a branch or has others.
        """
        inputs, samples = data['inputs'], data['data_samples']
        self._check_branches(inputs, at_least={'seg', 'cls'})
        if self.update_policy == 'joint':
            return self._backward(forward, (inputs, samples), optim_wrapper)
        seg, cls = (
            ({branch: inputs[branch]}, {branch: samples[branch]}) for branch in ('seg', 'cls')
        )
        log_vars = self._backward(forward, seg, optim_wrapper)
        self._waiting.append(cls)
        if optim_wrapper.should_update():  # the step on the detection losses is made
            # as many batches of the same iterations again, of the other branch
            optim_wrapper._inner_count -= len(self._waiting)
            steps = [self._backward(forward, batch, optim_wrapper) for batch in self._waiting]
            self._waiting.clear()
            means = {
                key: torch.stack([torch.as_tensor(step[key]) for step in steps]).mean(dim=0)
                for key in steps[0]
            }
            # both name their sum 'loss': the log shows the sum of both
            log_vars.update(means, loss=log_vars['loss'] + means['loss'])
        return log_vars

    def _backward(
        self, forward: Callable, batch: tuple[dict, dict], optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        """Gradients of a batch, with a step and a synchronisation when they are due."""
        steps = optim_wrapper.should_sync()  # whether this batch completes a step
        with optim_wrapper.optim_context(forward):
            losses = forward(*batch, mode='loss')
        loss, log_vars = self.parse_losses(losses)
        detects = 'seg' in batch[0]
        if detects:
            seg_loss, _ = self.parse_losses(
                {k: v for k, v in losses.items() if k.startswith('seg_')}
            )
            self._seg_losses.append(seg_loss.detach().float())
        if detects and steps and self.update_policy == 'alternate':
            self._sync()
        optim_wrapper.update_params(loss)
        if detects and steps and self.update_policy == 'joint':
            self._sync()  # not before: the backward pass needs the old copy
        return log_vars

    def loss(
        self, batch_inputs: dict[str, Tensor], batch_data_samples: dict[str, SampleList]
    ) -> dict[str, Tensor]:
        """Losses of the branches of a batch, each name led by its branch's.

        Args:
            batch_inputs (dict[str, Tensor]): Slices (B, 3, H, W) by branch.
            batch_data_samples (dict[str, list[:obj:`DetDataSample`]]): Their
                samples by branch.

        Returns:
            dict[str, Tensor]: Losses by name, such as ``seg_loss_mask`` and
            ``cls_loss_image``.
        """
        self._check_branches(batch_inputs)
        branch_losses = dict(seg=super().loss, cls=self.image_loss)
        losses = {}
        for branch, inputs in batch_inputs.items():
            branch_loss = branch_losses[branch](inputs, batch_data_samples[branch])
            branch_loss = reweight_loss_dict(branch_loss, self.task_weights[branch])
            losses.update(rename_loss_dict(f'{branch}_', branch_loss))
        return losses

    def image_loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Image loss of a batch of slices.

        Its gradient reaches the backbone, the neck and the attention head only.

        Args:
            batch_inputs (Tensor): Slices (B, 3, H, W).
            batch_data_samples (list[:obj:`DetDataSample`]): Samples with
                ``gt_label``.

        Returns:
            dict[str, Tensor]: Losses by name.
        """
        x = self.extract_feat(batch_inputs)
        with torch.no_grad():
            proposals = self.rpn_head.predict(x, batch_data_samples, rescale=False)
        roi_feats, _ = self.roi_head.extract_roi_sequence(x, proposals, batch_data_samples)
        return self.attention_head.loss(roi_feats, batch_data_samples)

    def _sync(self) -> None:
        """Refresh the classification branch by the synchronisation policy."""
        seg_loss = torch.stack(self._seg_losses).mean()
        self._seg_losses.clear()
        all_reduce(seg_loss, op='mean')  # all ranks decide the same
        improved = seg_loss < self.last_seg_loss
        self.last_seg_loss.copy_(seg_loss)
        if self.sync_policy == 'always' or (self.sync_policy == 'improved' and improved):
            self.roi_head.sync_classification_branch()

    @staticmethod
    def _check_branches(
        inputs: dict[str, Tensor], at_least: set[str] | frozenset[str] = frozenset()
    ) -> None:
        if not isinstance(inputs, dict) or not at_least <= set(inputs) <= {'seg', 'cls'}:
            got = list(inputs) if isinstance(inputs, dict) else type(inputs).__name__
            raise TypeError(
                f'a training batch has the branches seg and cls, got {got}: end each '
                "train pipeline in MultiBranch(branch_field=['seg', 'cls'], ...) and "
                'let MultiBranchDataPreprocessor wrap the data preprocessor'
            )

    # testing

    def predict_image_class(
        self,
        x: tuple[Tensor],
        proposals: InstanceList,
        batch_data_samples: SampleList,
        rescale: bool,
    ) -> None:
        """Add the image-level results and ``roi_sequence`` to the samples.

        The sequence has ``bboxes`` (β, 4), ``labels`` (β,), ``scores`` (β,) and ``attention``,
        (β,) or (β, 2); see the parent.
        """
        roi_feats, sequences = self.roi_head.extract_roi_sequence(x, proposals, batch_data_samples)
        results = self.attention_head.predict(roi_feats)
        add_image_results(batch_data_samples, results)
        for sample, sequence, result in zip(batch_data_samples, sequences, results):
            bboxes = sequence.bboxes
            if rescale:
                bboxes = scale_boxes(bboxes, [1 / factor for factor in sample.scale_factor])
            sample.roi_sequence = InstanceData(
                bboxes=bboxes,
                labels=sequence.labels,
                scores=sequence.scores,
                attention=result['attention'],
            )

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> tuple:
        """Box and mask outputs of the segmentation branch, and image logits."""
        x = self.extract_feat(batch_inputs)
        proposals = self.rpn_head.predict(x, batch_data_samples, rescale=False)
        roi_feats, _ = self.roi_head.extract_roi_sequence(x, proposals, batch_data_samples)
        return (
            *self.roi_head.forward(x, proposals, batch_data_samples),
            self.attention_head(roi_feats)[0],
        )
