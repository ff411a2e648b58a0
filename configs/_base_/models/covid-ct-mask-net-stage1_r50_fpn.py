# First stage of COVID-CT-Mask-Net: a Mask R-CNN for two lesion classes, lungs being background.
# FPN of 4 levels, small box head, the 30 anchors a cell that the one-shot model has.
_base_ = './mask-rcnn_r50_fpn.py'

strides = [4, 8, 16, 32]
model = dict(
    neck=dict(num_outs=4),
    rpn_head=dict(
        anchor_generator=dict(
            base_sizes=[2] * len(strides),
            scales=[1, 2, 4, 8, 16],
            ratios=[0.1, 0.25, 0.5, 1.0, 1.5, 2.0],
            strides=strides,
        )
    ),
    roi_head=dict(
        bbox_head=dict(fc_out_channels=128, num_classes=2), mask_head=dict(num_classes=2)
    ),
)
