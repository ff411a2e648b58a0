_base_ = './one-shot_r18_fpn_lstm2_cncb.py'
model = dict(backbone=dict(depth=34, init_cfg=dict(checkpoint='torchvision://resnet34')))
