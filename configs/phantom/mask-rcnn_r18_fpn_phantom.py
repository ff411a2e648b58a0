# Mask R-CNN from random weights on phantom slices, with smaller heads and boxes.
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/models/small_detector.py',
    '../_base_/datasets/phantom_seg.py',
    '../_base_/schedules/adam_phantom.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _base_.small_detector,
    backbone=dict(
        depth=18,
        norm_cfg=dict(type='mmcovid.PerImageBatchNorm2d'),  # as the one-shot model
        norm_eval=False,
        init_cfg=None,
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=400, max_per_img=128),
        rcnn=dict(sampler=dict(num=64)),
    ),
)

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=_base_.max_iters // 2, max_keep_ckpts=1, save_best='coco/segm_mAP'),
)
