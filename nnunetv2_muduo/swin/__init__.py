"""SwinUNETR-v2 in the place of nnU-Net's planned network: an optional extra that needs MONAI."""
