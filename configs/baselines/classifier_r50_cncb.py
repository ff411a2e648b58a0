_base_ = './classifier_r18_cncb.py'
model = dict(
    backbone=dict(depth=50, init_cfg=dict(checkpoint='torchvision://resnet50')),
    image_head=dict(in_channels=2048),
)
