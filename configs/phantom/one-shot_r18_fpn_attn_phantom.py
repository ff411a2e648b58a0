_base_ = './one-shot_r18_fpn_lstm2_phantom.py'
model = dict(attention_head=dict(_delete_=True, type='mmcovid.RoIAttentionHead', in_channels=128))
