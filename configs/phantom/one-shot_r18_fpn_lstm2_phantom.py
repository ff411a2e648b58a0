# The whole job on phantom slices, from random weights on 2 CPU cores in minutes.
_base_ = [
    '../_base_/models/one-shot_r18_fpn_lstm2.py',
    '../_base_/datasets/phantom.py',
    '../_base_/schedules/adam_phantom.py',
    '../_base_/default_runtime.py',
]

# What differs from the paper's model is for the time it takes: half the channels and half the RoIs,
# fewer boxes, anchors of the size of lungs and lesions in these small slices, and thresholds that a
# detector reaches early.
channels = 128
model = dict(
    backbone=dict(init_cfg=None),
    neck=dict(out_channels=channels),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales=[6, 12, 24, 36, 48], ratios=[0.5, 1.0, 2.0]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(in_channels=channels),
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(in_channels=channels, conv_out_channels=channels),
        roi_sequence=dict(num_rois=8),
    ),
    attention_head=dict(in_channels=channels, lstm_channels=channels),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128, pos_fraction=0.5)),
        rcnn=dict(
            assigner=dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5), sampler=dict(num=32)
        ),
        rpn_proposal=dict(max_per_img=64),
    ),
    test_cfg=dict(rpn=dict(max_per_img=64), rcnn=dict(max_per_img=32)),
)

max_iters = 600
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 2)
param_scheduler = _base_.param_scheduler
param_scheduler[1]['end'] = max_iters
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=max_iters // 2, max_keep_ckpts=1)
)
