_base_ = './classifier_r50_cncb.py'
model = dict(
    backbone=dict(
        type='ResNeXt',
        depth=50,
        groups=32,
        base_width=4,
        init_cfg=dict(checkpoint='torchvision://resnext50_32x4d'),
    )
)
