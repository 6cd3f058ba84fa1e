"""nnU-Net v2 extension for semi-supervised PET/CT segmentation with two frozen promptable teachers."""
