# The whole job on phantom slices, on 2 CPU cores in minutes: from scratch, at 256×256.
_base_ = [
    '../_base_/models/one-shot_r18_fpn_lstm2.py', '../_base_/datasets/phantom.py',
    '../_base_/default_runtime.py'
]

# Without ImageNet weights and in so few iterations, anchors of the size of lungs and lesions at
# this scale and the usual thresholds stand in for the paper's, which want a long training.
model = dict(
    backbone=dict(init_cfg=None),
    rpn_head=dict(
        anchor_generator=dict(scales=[8, 16, 32, 48, 64], ratios=[0.5, 1.0, 2.0])),
    # the large initial weights of the paper's heads take long to unlearn
    roi_head=dict(bbox_head=dict(init_cfg=None), roi_sequence=dict(num_rois=8)),
    attention_head=dict(init_cfg=None),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128, pos_fraction=0.5)),
        rcnn=dict(
            assigner=dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5),
            sampler=dict(num=32))),
    test_cfg=dict(rcnn=dict(max_per_img=32)))

max_iters = 600
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters // 2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=5e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=50, end=max_iters)
]
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=max_iters // 2, max_keep_ckpts=1))
