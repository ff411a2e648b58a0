# Mask R-CNN from random weights on phantom slices, with smaller heads and boxes.
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py', '../_base_/datasets/phantom_seg.py',
    '../_base_/schedules/adam_phantom.py', '../_base_/default_runtime.py'
]
channels = 64
model = dict(
    backbone=dict(
        depth=18,
        norm_cfg=dict(type='mmcovid.PerImageBatchNorm2d'),  # as the one-shot model
        norm_eval=False,
        init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=channels),
    rpn_head=dict(
        in_channels=channels, feat_channels=channels, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(in_channels=channels, fc_out_channels=128),
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(num_convs=1, in_channels=channels, conv_out_channels=channels)),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=400, max_per_img=128),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=400, max_per_img=128), rcnn=dict(max_per_img=32)))

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=_base_.max_iters // 2, max_keep_ckpts=1, save_best='coco/segm_mAP'))
