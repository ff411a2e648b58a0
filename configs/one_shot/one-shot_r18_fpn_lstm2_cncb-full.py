# All slices of COVIDx-CT's training list instead of 3,000. The paper's 30,000 iterations are then
# about half a pass over the 61,000 of version 1.
_base_ = './one-shot_r18_fpn_lstm2_cncb.py'
train_dataloader = dict(dataset=dict(cls=dict(ann_file='covidx_ct/train_COVIDx-CT.txt')))
