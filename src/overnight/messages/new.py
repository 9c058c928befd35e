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
