_base_ = './one-shot_r34_fpn_lstm2_cncb.py'
model = dict(attention_head=dict(num_branches=1))
