_base_ = './one-shot_r18_fpn_lstm2_cncb.py'
model = dict(attention_head=dict(_delete_=True, type='mmcovid.AffinityHead', num_affinities=128))
