# Second stage; first train covid-ct-mask-net-stage1_r34-trunc_fpn_merged_cncb.py.
_base_ = './covid-ct-mask-net_r18-trunc_fpn_merged_cncb.py'
model = dict(
    stage1='work_dirs/covid-ct-mask-net-stage1_r34-trunc_fpn_merged_cncb/iter_30000.pth',
    backbone=dict(depth=34),
)
