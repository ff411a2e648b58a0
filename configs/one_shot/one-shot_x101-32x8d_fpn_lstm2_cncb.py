_base_ = './one-shot_r18_fpn_lstm2_cncb.py'
model = dict(
    backbone=dict(
        type='ResNeXt',
        depth=101,
        groups=32,
        base_width=8,
        init_cfg=dict(checkpoint='torchvision://resnext101_32x8d'),
    ),
    neck=dict(in_channels=[2048]),
)
