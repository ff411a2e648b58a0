# Second stage; first train covid-ct-mask-net-stage1_r50_fpn_merged_cncb.py.
_base_ = './covid-ct-mask-net_r50_fpn_cncb.py'
model = dict(
    stage1='work_dirs/covid-ct-mask-net-stage1_r50_fpn_merged_cncb/iter_30000.pth',
    roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)),
)
merged = dict(classes=('lesion',))
train_dataloader = dict(dataset=dict(metainfo=merged))
val_dataloader = dict(dataset=dict(seg=dict(metainfo=merged)))
test_dataloader = dict(dataset=dict(seg=dict(metainfo=merged)))
