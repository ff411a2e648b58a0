_base_ = './one-shot_x101-32x8d_fpn_lstm2_cncb.py'
model = dict(attention_head=dict(num_branches=1))
