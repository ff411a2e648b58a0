_base_ = './classifier_r18_phantom.py'
model = dict(backbone=dict(depth=50), image_head=dict(in_channels=2048))
