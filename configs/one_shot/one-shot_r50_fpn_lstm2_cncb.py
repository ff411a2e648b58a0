_base_ = './one-shot_r18_fpn_lstm2_cncb.py'
model = dict(
    backbone=dict(depth=50, init_cfg=dict(checkpoint='torchvision://resnet50')),
    neck=dict(in_channels=[2048]),
)
