_base_ = './classifier_r18_phantom.py'
model = dict(backbone=dict(depth=34))
