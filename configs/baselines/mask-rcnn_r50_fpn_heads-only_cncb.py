# Only the RoI heads are trained: backbone, FPN and RPN stay as MMDetection trained them on COCO.
_base_ = './mask-rcnn_r50_fpn_cncb.py'
model = dict(backbone=dict(frozen_stages=4))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=0), rpn_head=dict(lr_mult=0)))
)
load_from = 'https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/mask_rcnn_r50_fpn_1x_coco/mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth'  # noqa: E501
