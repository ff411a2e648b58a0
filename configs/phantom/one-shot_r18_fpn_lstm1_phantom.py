_base_ = './one-shot_r18_fpn_lstm2_phantom.py'
model = dict(attention_head=dict(num_branches=1))
