# Light: ResNet-18 without its last stage, and only its last feature map goes into the FPN.
truncated_r18 = dict(
    backbone=dict(depth=18, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)),
    neck=dict(in_channels=[256], num_outs=1),
    rpn_head=dict(anchor_generator=dict(base_sizes=[2], strides=[16])),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=[16]), mask_roi_extractor=dict(featmap_strides=[16])
    ),
)
