# Second stage; first train covid-ct-mask-net-stage1_r18_fpn_phantom.py, whose detector this is.
_base_ = [
    '../_base_/models/covid-ct-mask-net_r50_fpn.py', '../_base_/datasets/phantom_cls.py',
    '../_base_/schedules/adam_phantom.py', '../_base_/default_runtime.py'
]
channels = 64
strides = [4, 8, 16, 32]
model = dict(
    stage1='work_dirs/covid-ct-mask-net-stage1_r18_fpn_phantom/iter_300.pth',
    backbone=dict(depth=18),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=channels),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(
            base_sizes=strides, scales=[4], ratios=[0.5, 1.0, 2.0], strides=strides)),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(in_channels=channels),
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(num_convs=1, in_channels=channels, conv_out_channels=channels),
        roi_ranking=dict(num_rois=64)),
    image_head=dict(hidden_channels=256),
    test_cfg=dict(rpn=dict(nms_pre=400, max_per_img=128), rcnn=dict(max_per_img=32)))

optim_wrapper = dict(optimizer=dict(lr=1e-3))  # the image head is small
lesions = dict(classes=('ggo', 'consolidation'), palette=[(255, 176, 0), (230, 50, 150)])
train_dataloader = dict(dataset=dict(metainfo=lesions))
val_dataloader = dict(dataset=dict(seg=dict(metainfo=lesions)))
test_dataloader = dict(dataset=dict(seg=dict(metainfo=lesions)))
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=_base_.max_iters // 2, max_keep_ckpts=1))
