"""Sentences of ``new``, and the files that it makes beside the config."""

EN = {
    "new.help": "Make a config to train with, and the files a project needs beside it.\n\n"
    "Files that are there stay as they are. With --data it looks at your data and fills in what it finds.\n\n"
    "Examples:\n\n"
    "  overnight new --data ../photos\n\n"
    "  overnight new cats --preset fast   a small model, to see whether all fits together",
    "new.folder": "The project's folder; made if it is not there.",
    "new.task": "What is trained: {known}.",
    "new.preset": "plain: a good model. fast: minutes, to see whether all fits together.",
    "new.data": "A folder of images, a data set as downloaded, or a table of IDs and targets.",
    "new.head": "What to train: overnight train --config THIS_FILE. Keys with # before them show their default.",
    "new.no_data": "there is nothing at this path",
    "new.no_data.fix": "name the folder of your images: overnight new --data DIR",
    "new.no_data_near": "there is nothing at this path",
    "new.no_data_near.fix": "did you mean {near}?",
    "new.no_ids": "no column of this table names images in {folder}",
    "new.no_ids.fix": "put the images' folder beside the table, or write configs/train.yaml by hand: overnight new",
    "new.task_unknown": "there is no task '{word}'",
    "new.task_unknown.fix": "one of: {known}",
    "new.task_near": "there is no task '{word}'",
    "new.task_near.fix": "did you mean '{near}'?",
    "new.no_starter": "the task '{word}' comes without a first config",
    "new.no_starter.fix": "its documentation says what its keys are",
    "new.preset_unknown": "there is no preset '{word}'",
    "new.preset_unknown.fix": "one of: {known}",
    "new.exists": "the config is there already, and is not overwritten",
    "new.exists.fix": "change it by hand, move it away, or name another folder: overnight new FOLDER",
    "new.not_a_folder": "this is a file, not a folder",
    "new.not_a_folder.fix": "name the project's folder",
    "new.unwritable": "this cannot be written: {reason}",
    "new.unwritable.fix": "check its permissions (ls -ld)",
    "new.made": "made",
    "new.changed": "changed",
    "new.kept": "as it was",
    "new.found": "found: {text}",
    "new.num_rows": "{count} rows",
    "new.num_classes": "{count} classes",
    "new.next": "Next: overnight train --config {config}",
    "new.next_without": "Next: say in {config} where your data are, then: overnight train --config {config}",
    "new.next_night": "For a night, over by seven: overnight train --config {config} --mode full-pipeline --optimize "
    "--n-trials 20 --use-calibration --auto-continue --until 07:00",
    "new.highperf.head": "The best model for a long night: a large one with all that helps a long training. Mode highperf "
    "writes these values by itself; they stand here to be changed. It wants a GPU. With a submission.csv: "
    "overnight train --config THIS_FILE --mode full-pipeline",
    "new.highperf.mode": "Fills in again what you take out below.",
    "new.highperf.data.valid_fold": "Five models, each validated on a fold of its own; their mean predicts better than each "
    "of them.",
    "new.highperf.model.name": "Swin-Base: a transformer of 87 million weights, and more accurate than convolutional nets of that size.",
    "new.highperf.train.img_size": "What its windows of 7 were made for.",
    "new.highperf.train.batch_size": "Takes about 5 GB of the GPU in half precision; a step sees 32, by accumulate.",
    "new.highperf.train.epochs": "Mixed pictures and averaged weights pay off in a long training.",
    "new.highperf.train.lr": "Transformers lose what they have learnt at the 3e-4 that suits a convolutional net.",
    "new.highperf.train.warmup": "Epochs in which the learning rate rises; without it the first steps of a transformer may "
    "spoil it.",
    "new.highperf.train.ema": "The average over the last thousand steps validates better than the last step.",
    "new.highperf.train.label_smoothing": "Nobody labels without a mistake.",
    "new.highperf.train.augmentation": "30 epochs see each picture 30 times; it should not be the same one.",
    "new.highperf.train.document_noise": "Blur, JPEG, rotation, shadow and perspective for 3 of 10 pictures: what a camera "
    "does to a page. 0 where pictures are always clean.",
    "new.highperf.predict.tta": "The mean over a picture and its mirror image. none where left and right differ, as in text.",
    "new.fast_optimized.head": "All of a pipeline within 30 minutes on one GPU, to see what comes of it: 8 trials, 3 folds "
    "of a small model, calibration, submission.csv, report. overnight train --config THIS_FILE",
    "new.fast_optimized.mode": "All folds, then the test images are predicted.",
    "new.fast_optimized.data.folds": "Three models instead of five.",
    "new.fast_optimized.model.name": "Small and fast: this is about seeing the whole of it, not about the best score.",
    "new.fast_optimized.train.img_size": "A third of the pixels of 224, and of the time.",
    "new.fast_optimized.train.batch_size": "Small pictures leave room for it, and it is faster.",
    "new.fast_optimized.train.epochs": "Few, from pretrained weights; ten give a little more.",
    "new.fast_optimized.tuning.n_trials": "As in optuna_fast_config.yaml.",
    "new.fast_optimized.tuning.epochs": "Half of the training's tell a good learning rate from a bad one.",
    "new.fast_optimized.until": "Trials and folds are trimmed to it where the data are many or the card is slow. Without "
    "this line everything is done, however long it takes.",
    "new.optuna.head": "What is searched, in a file of its own: overnight train --config configs/train.yaml --optimize "
    "--optuna-config THIS_FILE. Or put it below tuning: in the config. docs/tuning.md",
    "new.optuna_fast.head": "A search to try things out: overnight train --config configs/train.yaml --optimize "
    "--optuna-config THIS_FILE. optuna_config.yaml is the one for a night.",
    "new.optuna_fast.tuning.n_trials": "Enough for two values.",
    "new.optuna_fast.tuning.epochs": "Of each trial. Short ones favour high learning rates a little.",
    "new.space.train.lr": "What matters most. log: as likely between 1e-5 and 1e-4 as between 1e-4 and 1e-3.",
    "new.space.train.weight_decay": "Against learning by heart; its size goes with the learning rate's.",
    "new.space.train.label_smoothing": "0: labels are right. 0.2: one in five may not be.",
    "new.space.model.drop_rate": "Share of features dropped before the last layer: for small data.",
    "new.root_file": "# The root of this project: experiments/ and logs/ come to lie here.\n"
    "# What you want to be told of its runs (docs/notifications.md), without the #:\n"
    "#notify:\n"
    "#  channels: [phone]\n"
    "#  alerts: [loss is nan, disk_free < 5 GiB]\n",
    "new.env_file": "# Copy this file to .env, take the '#' off the lines that you need, and fill them in. A variable\n"
    "# that is already set in your shell wins. git ignores .env.\n\n"
    "# The key of your W&B account, for track: [wandb].\n"
    "# WANDB_API_KEY=\n\n"
    "# The project, team and tags that runs are filed under there.\n"
    "# WANDB_PROJECT=\n"
    "# WANDB_ENTITY=\n"
    "# WANDB_TAGS=\n\n"
    "# An MLflow server; without it records go to mlflow.db, here.\n"
    "# MLFLOW_TRACKING_URI=\n\n"
    "# Where to be told, as a URL; any name will do behind CHANNEL_. Or: overnight notify add phone.\n"
    "# OVERNIGHT_CHANNEL_PHONE=\n\n"
    "# The language of everything you read: en or ko.\n"
    "# OVERNIGHT_LANG=\n",
}

KO = {
    "new.help": "학습할 설정 파일과 프로젝트에 필요한 파일을 만듭니다.\n\n"
    "이미 있는 파일은 건드리지 않습니다. --data를 쓰면 데이터를 살펴보고 찾은 것을 채워 넣습니다.\n\n"
    "예:\n\n"
    "  overnight new --data ../photos\n\n"
    "  overnight new cats --preset fast   작은 모델로 모두 맞물리는지 확인",
    "new.folder": "프로젝트의 폴더. 없으면 만듭니다.",
    "new.task": "무엇을 학습하는지: {known}.",
    "new.preset": "plain: 좋은 모델. fast: 몇 분 만에 모두 맞물리는지 확인.",
    "new.data": "이미지 폴더, 내려받은 데이터셋, 또는 ID와 정답의 표.",
    "new.head": "무엇을 학습할지 정합니다: overnight train --config 이_파일. 앞에 #이 붙은 키는 기본값을 보여 줍니다.",
    "new.no_data": "이 경로에 아무것도 없습니다",
    "new.no_data.fix": "이미지가 있는 폴더를 쓰십시오: overnight new --data 폴더",
    "new.no_data_near": "이 경로에 아무것도 없습니다",
    "new.no_data_near.fix": "혹시 이것입니까? {near}",
    "new.no_ids": "이 표의 어느 열도 다음 폴더의 이미지를 가리키지 않습니다: {folder}",
    "new.no_ids.fix": "이미지 폴더를 표 옆에 두거나, overnight new로 만든 configs/train.yaml을 직접 고치십시오",
    "new.task_unknown": "없는 작업입니다: '{word}'",
    "new.task_unknown.fix": "다음 중 하나를 쓰십시오: {known}",
    "new.task_near": "없는 작업입니다: '{word}'",
    "new.task_near.fix": "혹시 '{near}'입니까?",
    "new.no_starter": "첫 설정 파일이 마련되지 않은 작업입니다: '{word}'",
    "new.no_starter.fix": "쓸 수 있는 키는 그 작업의 문서에 있습니다",
    "new.preset_unknown": "없는 프리셋입니다: '{word}'",
    "new.preset_unknown.fix": "다음 중 하나를 쓰십시오: {known}",
    "new.exists": "설정 파일이 이미 있어 덮어쓰지 않습니다",
    "new.exists.fix": "직접 고치거나, 다른 곳으로 옮기거나, 다른 폴더를 쓰십시오: overnight new 폴더",
    "new.not_a_folder": "폴더가 아니라 파일입니다",
    "new.not_a_folder.fix": "프로젝트의 폴더를 쓰십시오",
    "new.unwritable": "쓸 수 없습니다: {reason}",
    "new.unwritable.fix": "권한을 확인하십시오 (ls -ld)",
    "new.made": "만듦",
    "new.changed": "고침",
    "new.kept": "그대로",
    "new.found": "찾은 것: {text}",
    "new.num_rows": "{count}행",
    "new.num_classes": "클래스 {count}개",
    "new.next": "다음: overnight train --config {config}",
    "new.next_without": "다음: {config} 파일에 데이터의 위치를 쓰고 실행하십시오: overnight train --config {config}",
    "new.next_night": "밤새 맡기고 7시에 끝내려면: overnight train --config {config} --mode full-pipeline --optimize "
    "--n-trials 20 --use-calibration --auto-continue --until 07:00",
    "new.highperf.head": "긴 밤을 위한 가장 좋은 모델: 큰 모델에 긴 학습을 돕는 것을 모두 더했습니다. highperf 모드가 채우는 값을 "
    "고칠 수 있도록 적어 둔 것입니다. GPU가 필요합니다. submission.csv까지: "
    "overnight train --config 이_파일 --mode full-pipeline",
    "new.highperf.mode": "아래에서 지운 값은 이 모드가 다시 채웁니다.",
    "new.highperf.data.valid_fold": "모델 다섯 개가 각각 다른 폴드에서 검증됩니다. 다섯의 평균은 하나보다 잘 맞습니다.",
    "new.highperf.model.name": "Swin-Base: 가중치 8700만 개의 트랜스포머로, 같은 크기의 합성곱 신경망보다 정확합니다.",
    "new.highperf.train.img_size": "이 모델의 7칸 창에 맞는 크기입니다.",
    "new.highperf.train.batch_size": "반정밀도로 GPU 메모리 5 GB쯤 씁니다. accumulate 덕분에 한 스텝은 32장을 봅니다.",
    "new.highperf.train.epochs": "이미지를 섞고 가중치를 평균하면 긴 학습에서 효과가 납니다.",
    "new.highperf.train.lr": "합성곱 신경망에 맞는 3e-4를 쓰면 트랜스포머는 배운 것을 잊어버립니다.",
    "new.highperf.train.warmup": "학습률이 올라가는 에폭 수입니다. 없으면 트랜스포머가 첫 스텝에서 망가질 수 있습니다.",
    "new.highperf.train.ema": "마지막 스텝보다 최근 천 스텝의 평균이 검증에서 낫습니다.",
    "new.highperf.train.label_smoothing": "실수 없는 라벨은 없습니다.",
    "new.highperf.train.augmentation": "30에폭이면 같은 이미지를 서른 번 봅니다. 매번 달라야 합니다.",
    "new.highperf.train.document_noise": "열 장 가운데 세 장에 흐림, JPEG, 회전, 그림자, 원근: 카메라가 종이에 하는 일입니다. "
    "언제나 깨끗한 이미지라면 0.",
    "new.highperf.predict.tta": "이미지와 그 거울상의 평균입니다. 글자처럼 좌우가 다르면 none.",
    "new.fast_optimized.head": "GPU 하나로 30분 안에 전체 과정을 해 보는 설정입니다: 시도 8회, 작은 모델로 폴드 3개, 보정, "
    "submission.csv, 리포트. overnight train --config 이_파일",
    "new.fast_optimized.mode": "모든 폴드를 학습하고 테스트 이미지를 예측합니다.",
    "new.fast_optimized.data.folds": "모델을 다섯 대신 셋만 학습합니다.",
    "new.fast_optimized.model.name": "작고 빠릅니다. 최고 점수가 아니라 전체 과정을 보기 위한 설정입니다.",
    "new.fast_optimized.train.img_size": "224의 3분의 1 픽셀, 3분의 1 시간.",
    "new.fast_optimized.train.batch_size": "작은 이미지라 메모리가 남고, 더 빠릅니다.",
    "new.fast_optimized.train.epochs": "사전 학습된 가중치에서 시작하므로 적어도 됩니다. 열 번이면 조금 더 낫습니다.",
    "new.fast_optimized.tuning.n_trials": "optuna_fast_config.yaml과 같습니다.",
    "new.fast_optimized.tuning.epochs": "학습의 절반이면 좋은 학습률과 나쁜 학습률이 갈립니다.",
    "new.fast_optimized.until": "데이터가 많거나 카드가 느리면 이 시간에 맞게 시도와 폴드를 줄입니다. 이 줄을 지우면 걸리는 대로 "
    "모두 합니다.",
    "new.optuna.head": "무엇을 탐색할지 따로 적은 파일입니다: overnight train --config configs/train.yaml --optimize "
    "--optuna-config 이_파일. 설정 파일의 tuning: 아래에 써도 됩니다. docs/tuning.md",
    "new.optuna_fast.head": "시험 삼아 해 보는 탐색입니다: overnight train --config configs/train.yaml --optimize "
    "--optuna-config 이_파일. 밤새 할 탐색은 optuna_config.yaml.",
    "new.optuna_fast.tuning.n_trials": "값 두 개에는 넉넉합니다.",
    "new.optuna_fast.tuning.epochs": "시도마다의 에폭 수입니다. 짧으면 높은 학습률이 조금 유리합니다.",
    "new.space.train.lr": "가장 중요한 값입니다. log: 1e-5와 1e-4 사이도, 1e-4와 1e-3 사이도 똑같이 자주 시도합니다.",
    "new.space.train.weight_decay": "외우지 않게 합니다. 알맞은 크기는 학습률에 따라 달라집니다.",
    "new.space.train.label_smoothing": "0: 라벨이 모두 맞음. 0.2: 다섯에 하나는 틀릴 수 있음.",
    "new.space.model.drop_rate": "마지막 층 앞에서 버리는 특징의 비율: 데이터가 적을 때.",
    "new.root_file": "# 이 프로젝트의 루트입니다. experiments/와 logs/가 여기에 생깁니다.\n"
    "# 실행에 대해 알림을 받으려면 아래의 #을 지우십시오 (docs/notifications.md):\n"
    "#notify:\n"
    "#  channels: [phone]\n"
    "#  alerts: [loss is nan, disk_free < 5 GiB]\n",
    "new.env_file": "# 이 파일을 .env로 복사하고 필요한 줄의 '#'을 지운 다음 값을 쓰십시오. 셸에 이미 있는 변수가\n"
    "# 우선합니다. git은 .env를 무시합니다.\n\n"
    "# W&B 계정의 키 (track: [wandb]를 쓸 때).\n"
    "# WANDB_API_KEY=\n\n"
    "# W&B에서 실행을 모아 둘 프로젝트, 팀, 태그.\n"
    "# WANDB_PROJECT=\n"
    "# WANDB_ENTITY=\n"
    "# WANDB_TAGS=\n\n"
    "# MLflow 서버. 없으면 기록은 여기의 mlflow.db에 저장됩니다.\n"
    "# MLFLOW_TRACKING_URI=\n\n"
    "# 알림을 받을 주소(URL). CHANNEL_ 뒤의 이름은 자유입니다. 또는: overnight notify add phone.\n"
    "# OVERNIGHT_CHANNEL_PHONE=\n\n"
    "# 읽는 글의 언어: en 또는 ko.\n"
    "# OVERNIGHT_LANG=\n",
}
