# FPN levels finer than the paper's stride of 32: anchors at each, RoI features from the finest.
stride8 = dict(
    backbone=dict(out_indices=(1, 2, 3)),
    neck=dict(in_channels=[128, 256, 512], num_outs=3),
    rpn_head=dict(anchor_generator=dict(base_sizes=[2] * 3, strides=[8, 16, 32])),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=[8]), mask_roi_extractor=dict(featmap_strides=[8])
    ),
)
stride16 = dict(
    backbone=dict(out_indices=(2, 3)),
    neck=dict(in_channels=[256, 512], num_outs=2),
    rpn_head=dict(anchor_generator=dict(base_sizes=[2] * 2, strides=[16, 32])),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=[16]), mask_roi_extractor=dict(featmap_strides=[16])
    ),
)
