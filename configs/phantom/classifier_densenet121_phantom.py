# needs MONAI: pip install monai
_base_ = './classifier_r18_phantom.py'
model = dict(
    backbone=dict(_delete_=True, type='mmcovid.MonaiDenseNet', depth=121),
    image_head=dict(in_channels=1024),
)
