"""AutoPET, as it is published, made an nnU-Net dataset with few labels."""
