_base_ = './one-shot_x50-32x4d_fpn_lstm2_cncb.py'
model = dict(attention_head=dict(num_branches=1))
