_base_ = ['./covid-ct-mask-net-stage1_r50_fpn_merged_cncb.py', '../_base_/models/truncated_r18.py']
model = _base_.truncated_r18
model.backbone.init_cfg = dict(checkpoint='torchvision://resnet18')
