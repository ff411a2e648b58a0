# A trained model on the slices of iCTCF, of two classes (normal, covid19): fine-tuning by
# load_from, with the lesion set as before, and testing on iCTCF alone.
_base_ = './one-shot_r18_fpn_lstm2_cncb.py'

ictcf = dict(data_root='data/ictcf/', data_prefix=dict(img=''))

train_dataloader = dict(dataset=dict(cls=dict(ann_file='annotations/ictcf_train.json', **ictcf)))
val_dataloader = dict(
    dataset=dict(seg=None, cls=dict(ann_file='annotations/ictcf_test.json', **ictcf)))
test_dataloader = val_dataloader

val_evaluator = dict(metrics=dict(_delete_=True, cls=dict(type='mmcovid.ImageLevelMetric')))
test_evaluator = val_evaluator
