# Second stage; first train covid-ct-mask-net-stage1_r18_fpn_phantom.py, whose detector this is.
_base_ = [
    '../_base_/models/covid-ct-mask-net_r50_fpn.py',
    '../_base_/models/small_detector.py',
    '../_base_/datasets/phantom_cls.py',
    '../_base_/schedules/adam_phantom.py',
    '../_base_/default_runtime.py',
]
detector = _base_.small_detector
detector.rpn_head.anchor_generator.base_sizes = [4, 8, 16, 32]  # the strides
detector.roi_head.roi_ranking = dict(num_rois=64)
model = dict(
    detector,
    stage1='work_dirs/covid-ct-mask-net-stage1_r18_fpn_phantom/iter_300.pth',
    backbone=dict(depth=18),
    image_head=dict(hidden_channels=256),
)
del detector

optim_wrapper = dict(optimizer=dict(lr=1e-3))  # the image head is small
lesions = dict(classes=('ggo', 'consolidation'))
train_dataloader = dict(dataset=dict(metainfo=lesions))
val_dataloader = dict(dataset=dict(seg=dict(metainfo=lesions)))
test_dataloader = dict(dataset=dict(seg=dict(metainfo=lesions)))
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=_base_.max_iters // 2, max_keep_ckpts=1)
)
