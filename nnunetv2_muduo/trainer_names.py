"""Names of our trainers, for those who must not import nnU-Net to know them."""

MUDUO = "nnUNetTrainerMuDuo"
SEMI_SUPERVISED = (
    MUDUO,
    "nnUNetTrainerMeanTeacher",
    "nnUNetTrainerUAMT",
    "nnUNetTrainerCPS",
    "nnUNetTrainerSemiSAM",
)
PRETRAINING = "nnUNetTrainerPETCTMAE"
