# Lungs are background. Ordinary BatchNorm: the second stage freezes its statistics.
_base_ = './mask-rcnn_r18_fpn_phantom.py'
model = dict(
    backbone=dict(norm_cfg=dict(type='BN')),
    neck=dict(num_outs=4),
    rpn_head=dict(anchor_generator=dict(strides=[4, 8, 16, 32])),
    roi_head=dict(bbox_head=dict(num_classes=2), mask_head=dict(num_classes=2)),
)
lesions = dict(dataset=dict(seg=dict(metainfo=dict(classes=('ggo', 'consolidation')))))
train_dataloader = lesions
val_dataloader = lesions
test_dataloader = lesions
