# GGO and consolidation as one class; needs annotations converted with --merge-lesions.
_base_ = './mask-rcnn_r50_fpn_cncb.py'
model = dict(roi_head=dict(bbox_head=dict(num_classes=2), mask_head=dict(num_classes=2)))
merged = dict(dataset=dict(seg=dict(metainfo=dict(classes=('lung', 'lesion')))))
train_dataloader = merged
val_dataloader = merged
test_dataloader = merged
