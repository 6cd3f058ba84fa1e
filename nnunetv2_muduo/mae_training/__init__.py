"""Masked-autoencoder pretraining in nnU-Net's training loop: cases, patches, trainer, checkpoints."""
