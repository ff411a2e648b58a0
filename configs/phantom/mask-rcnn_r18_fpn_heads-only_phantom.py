# Backbone and FPN keep their random weights; there is no RPN to start from, so it is trained.
_base_ = './mask-rcnn_r18_fpn_phantom.py'
model = dict(backbone=dict(frozen_stages=4))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=0))))
