"""What starts from pretrained weights: bringing them in, probing them, and few-shot splits to compare them on."""
