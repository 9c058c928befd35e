"""Sentences of ``check CONFIG``: what would keep a training from training tonight."""

from __future__ import annotations

EN = {
    "outlook.reading": "Looking at the training …",
    "outlook.looked_at": "images looked at: {done} of {total}",
    "outlook.name.data": "data",
    "outlook.name.model": "model",
    "outlook.name.gpu": "GPU",
    "outlook.name.disk": "disk",
    "outlook.name.trackers": "trackers",
    "outlook.name.duration": "duration",
    # Data
    "outlook.data.read": "{num} examples of {classes} classes; all of them were read through.",
    "outlook.data.read_both": "{num} examples of {classes} classes, and {more} to predict; all of them were read through.",
    "outlook.data.refused": "{what}",
    "outlook.data.refused.fix": "{fix}",
    # Model
    "outlook.model.built": "{name}: {num} parameters, {trainable} of them learn; from scratch.",
    "outlook.model.loaded": "{name}: {num} parameters, {trainable} of them learn; the weights to start from are there.",
    "outlook.model.not_built": "Not built (--no-trial): whether name, pooling and weights go together is not known.",
    "outlook.model.refused": "{what}",
    "outlook.model.refused.fix": "{fix}",
    "outlook.model.silent": "It could not be built to see: {why}",
    "outlook.model.silent.fix": "overnight doctor",
    # Machine
    "outlook.gpu.hidden": "CUDA_VISIBLE_DEVICES hides every GPU: training runs on the CPU.",
    "outlook.gpu.hidden.fix": "unset CUDA_VISIBLE_DEVICES, or name the card: export CUDA_VISIBLE_DEVICES=0",
    "outlook.gpu.refused": "{what}",
    "outlook.gpu.refused.fix": "{fix}",
    "outlook.gpu.full": "Weights, gradients and optimizer alone take {need} of the {total} of {card}.",
    "outlook.gpu.full.fix": "a smaller model.name, or model.freeze_backbone: true",
    "outlook.gpu.weights": "Weights, gradients and optimizer take {need} of the {total} of {card}; what a batch takes shows in the first step.",
    "outlook.disk.fits": "The training leaves about {need}; {free} are free.",
    "outlook.disk.short": "The training leaves about {need}; only {free} are free.",
    "outlook.disk.short.fix": "free some space, or lower output.keep_checkpoints or data.folds",
    # Trackers, time
    "outlook.trackers.none": "None: the run's own records are kept in its folder.",
    "outlook.trackers.goes_to": "{name}: {address}",
    "outlook.trackers.offline": "{name}: no key was found, so its records are written to this disk only.",
    "outlook.trackers.offline.fix": "run `wandb login` once or set WANDB_API_KEY; or send them later with `wandb sync`",
    "outlook.duration.about": "About {span}, at the pace of {run}.",
    "outlook.duration.at_most": "At most {span}, at the pace of {run}.",
    "outlook.duration.not_known": "Not known: nothing like it was trained here before. After its first epoch `overnight status` tells.",
}

KO = {
    "outlook.reading": "학습을 살펴보는 중 …",
    "outlook.looked_at": "확인한 이미지: {total}개 중 {done}개",
    "outlook.name.data": "데이터",
    "outlook.name.model": "모델",
    "outlook.name.gpu": "GPU",
    "outlook.name.disk": "디스크",
    "outlook.name.trackers": "트래커",
    "outlook.name.duration": "소요 시간",
    # Data
    "outlook.data.read": "학습 이미지 {num}개, 클래스 {classes}개. 모두 끝까지 읽었습니다.",
    "outlook.data.read_both": "학습 이미지 {num}개, 클래스 {classes}개, 예측할 이미지 {more}개. 모두 끝까지 읽었습니다.",
    "outlook.data.refused": "{what}",
    "outlook.data.refused.fix": "{fix}",
    # Model
    "outlook.model.built": "{name}: 파라미터 {num}개, 그중 {trainable}개를 처음부터 학습합니다.",
    "outlook.model.loaded": "{name}: 파라미터 {num}개, 그중 {trainable}개를 학습합니다. 시작할 가중치가 준비되어 있습니다.",
    "outlook.model.not_built": "만들어 보지 않았습니다(--no-trial). 이름, 풀링, 가중치가 서로 맞는지 알 수 없습니다.",
    "outlook.model.refused": "{what}",
    "outlook.model.refused.fix": "{fix}",
    "outlook.model.silent": "만들어 보지 못했습니다: {why}",
    "outlook.model.silent.fix": "overnight doctor",
    # Machine
    "outlook.gpu.hidden": "CUDA_VISIBLE_DEVICES 때문에 GPU가 모두 가려져 CPU로 학습합니다.",
    "outlook.gpu.hidden.fix": "CUDA_VISIBLE_DEVICES를 지우거나 쓸 GPU를 지정하십시오: export CUDA_VISIBLE_DEVICES=0",
    "outlook.gpu.refused": "{what}",
    "outlook.gpu.refused.fix": "{fix}",
    "outlook.gpu.full": "가중치, 기울기, 옵티마이저만으로 {need} 필요합니다. {card} 메모리는 {total}입니다.",
    "outlook.gpu.full.fix": "더 작은 model.name을 쓰거나 model.freeze_backbone: true로 두십시오",
    "outlook.gpu.weights": "가중치, 기울기, 옵티마이저에 {need} 필요합니다({card} 메모리 {total}). 배치가 쓰는 양은 첫 스텝에서 드러납니다.",
    "outlook.disk.fits": "학습이 남기는 파일 약 {need}, 여유 공간 {free}",
    "outlook.disk.short": "학습이 남기는 파일이 약 {need}인데 여유 공간은 {free}뿐입니다.",
    "outlook.disk.short.fix": "공간을 비우거나 output.keep_checkpoints 또는 data.folds를 줄이십시오",
    # Trackers, time
    "outlook.trackers.none": "없음. 기록은 실행 폴더에만 남습니다.",
    "outlook.trackers.goes_to": "{name}: {address}",
    "outlook.trackers.offline": "{name}: 키가 없어 기록을 이 디스크에만 씁니다.",
    "outlook.trackers.offline.fix": "`wandb login`을 한 번 실행하거나 WANDB_API_KEY 환경 변수를 설정하십시오. 나중에 `wandb sync`로 보낼 수도 있습니다",
    "outlook.duration.about": "약 {span}({run} 실행의 속도 기준)",
    "outlook.duration.at_most": "최대 {span}({run} 실행의 속도 기준)",
    "outlook.duration.not_known": "알 수 없습니다. 이 컴퓨터에서 비슷한 학습을 한 기록이 없습니다. 첫 에폭이 지나면 `overnight status`가 알려 줍니다.",
}
