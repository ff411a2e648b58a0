_base_ = './covid-ct-mask-net-stage1_r18-trunc_fpn_merged_cncb.py'
model = dict(backbone=dict(depth=34, init_cfg=dict(checkpoint='torchvision://resnet34')))
