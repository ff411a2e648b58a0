# Second stage; first train covid-ct-mask-net-stage1_r18-trunc_fpn_merged_cncb.py.
_base_ = ['./covid-ct-mask-net_r50_fpn_merged_cncb.py', '../_base_/models/truncated_r18.py']
detector = _base_.truncated_r18
detector.roi_head.roi_ranking = dict(num_rois=128)
model = dict(
    detector,
    stage1='work_dirs/covid-ct-mask-net-stage1_r18-trunc_fpn_merged_cncb/iter_30000.pth',
    image_head=dict(hidden_channels=512),
)
del detector
