# GGO and consolidation as one class; needs annotations converted with --merge-lesions.
_base_ = './covid-ct-mask-net-stage1_r50_fpn_cncb.py'
model = dict(roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)))
merged = dict(dataset=dict(seg=dict(metainfo=dict(classes=('lesion',)))))
train_dataloader = merged
val_dataloader = merged
test_dataloader = merged
