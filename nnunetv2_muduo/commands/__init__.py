"""The subcommands of `muduo`, one a file, in the order `muduo -h` lists them."""

from nnunetv2_muduo.commands import (
    clicks,
    convert_autopet,
    demo,
    doctor,
    evaluate,
    export,
    finetune_teacher,
    harmonise,
    import_mae,
    plan,
    preprocess_unlabelled,
    pseudo_label,
    report,
    segment,
    split,
    trainers,
    uncrop,
    weights,
)

COMMANDS = tuple(
    module.COMMAND
    for module in (
        demo,
        trainers,
        doctor,
        weights,
        convert_autopet,
        harmonise,
        uncrop,
        plan,
        split,
        import_mae,
        preprocess_unlabelled,
        pseudo_label,
        segment,
        clicks,
        finetune_teacher,
        evaluate,
        report,
        export,
    )
)
