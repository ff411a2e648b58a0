# needs MONAI: pip install monai
_base_ = './classifier_r18_cncb.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmcovid.MonaiDenseNet',
        depth=121,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://densenet121'),
    ),
    image_head=dict(in_channels=1024),
)
