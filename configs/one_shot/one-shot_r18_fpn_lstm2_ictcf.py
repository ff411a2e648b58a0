# A trained model on the slices of iCTCF, of two classes (normal, covid19): fine-tuning by
# load_from, 10 epochs of its 600 slices, with the lesion set as before; validation and testing on
# iCTCF alone.
_base_ = './one-shot_r18_fpn_lstm2_cncb.py'

ictcf = dict(data_root='data/ictcf/', data_prefix=dict(img=''))

train_dataloader = dict(dataset=dict(cls=dict(ann_file='annotations/ictcf_train.json', **ictcf)))
val_dataloader = dict(
    dataset=dict(seg=None, cls=dict(ann_file='annotations/ictcf_val.json', per_class=None, **ictcf))
)
test_dataloader = dict(
    dataset=dict(seg=None, cls=dict(ann_file='annotations/ictcf_test.json', **ictcf))
)

val_evaluator = dict(metrics=dict(_delete_=True, cls=dict(type='mmcovid.ImageLevelMetric')))
test_evaluator = val_evaluator
train_cfg = dict(max_iters=6_000, val_interval=600)
default_hooks = dict(checkpoint=dict(interval=600, save_best='image/weighted_f1'))
