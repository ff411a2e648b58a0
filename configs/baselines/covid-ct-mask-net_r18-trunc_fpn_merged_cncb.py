# Second stage; first train covid-ct-mask-net-stage1_r18-trunc_fpn_merged_cncb.py.
_base_ = './covid-ct-mask-net_r50_fpn_merged_cncb.py'
model = dict(
    stage1='work_dirs/covid-ct-mask-net-stage1_r18-trunc_fpn_merged_cncb/iter_30000.pth',
    backbone=dict(
        depth=18, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, )),
    neck=dict(in_channels=[256], num_outs=1),
    rpn_head=dict(anchor_generator=dict(base_sizes=[2], strides=[16])),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=[16]),
        mask_roi_extractor=dict(featmap_strides=[16]),
        roi_ranking=dict(num_rois=128)),
    image_head=dict(hidden_channels=512))
