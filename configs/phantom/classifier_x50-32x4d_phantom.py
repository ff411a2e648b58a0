_base_ = './classifier_r50_phantom.py'
model = dict(backbone=dict(type='ResNeXt', groups=32, base_width=4))
