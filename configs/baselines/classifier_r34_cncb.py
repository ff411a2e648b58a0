_base_ = './classifier_r18_cncb.py'
model = dict(backbone=dict(depth=34, init_cfg=dict(checkpoint='torchvision://resnet34')))
