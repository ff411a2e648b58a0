_base_ = './classifier_densenet121_cncb.py'
model = dict(
    backbone=dict(depth=169, init_cfg=dict(checkpoint='torchvision://densenet169')),
    image_head=dict(in_channels=1664),
)
