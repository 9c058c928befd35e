"""Sentences of ``train`` and of the trainer."""

EN = {
    "train.help": "Train what a config asks for, and watch it.\n\nThe training is supervised: it outlives this "
    "terminal, and Ctrl-C ends the watching only. The data is checked before the first step, and a run "
    "that was killed goes on from its newest checkpoint (overnight resume).\n\n"
    "Examples:\n\n"
    "  overnight train --config configs/train.yaml\n\n"
    "  overnight train --config configs/train.yaml --set train.lr=3e-4 --set train.epochs=20 --detach\n\n"
    "  overnight new   makes configs/train.yaml to begin with",
    "train.config": "The config, a YAML file (overnight new makes one; docs/config.md).",
    "train.set": "Another value for a key of the config: train.lr=3e-4, data.folds=3. Repeatable.",
    "train.detach": "Do not stay and watch. What --json does too.",
    "train.name": "The run's name. Default: project.name of the config, else its file's name.",
    "train.two_configs": "two configs were named",
    "train.two_configs.fix": "name one: overnight train --config {path}",
    "train.no_config": "no config was named",
    "train.no_config.fix": "overnight train --config configs/train.yaml (overnight new makes one)",
    "train.not_yaml": "this is no YAML config",
    "train.not_yaml.fix": "a script or a notebook is run with: overnight run {path}",
    "train.args": "a config takes no arguments",
    "train.args.fix": "set its keys: --set train.epochs=20",
    "train.python": "a training from a config runs in Overnight's own Python",
    "train.python.fix": "leave --python out; a script of your own runs in any Python",
    "train.map": "--map is for notebooks; this is a config",
    "train.map.fix": "set the path itself: --set data.image_dir_train=DIR",
    "train.no_such_path": "{path} does not exist",
    "train.no_such_path.fix": "put it back where it was when the run was started, and resume; or start a new run",
    "train.no_extra": "this installation cannot train: libraries are missing",
    "train.no_extra.fix": "pip install 'overnight[{extra}]'",
    "train.data_changed": "the data or its folds are not what this run began with ({num} examples)",
    "train.data_changed.fix": "put the data back as it was, or start a new run: a member must not be judged by "
    "examples it has learnt from",
    "train.no_checkpoint": "the disk did not take a checkpoint of {scope} ({reason}); the one before is kept, and the "
    "training goes on",
    "train.best_unsaved": "{num} times the disk took no weights of {scope}: what is kept is the best that it took, of "
    "epoch {epoch}",
    "train.waits": "Waiting for the trackers, 30 s at most (Ctrl-C: not at all) …",
    "train.arrived": "{tracker}: all records have arrived {url}",
    "train.still": "{tracker}: {left} records are still to come; the agent sees to it (overnight sync {run}) {url}",
    "train.trouble": "{tracker}: {trouble}",
    "train.look": "(look at them: overnight ui{root})",
    "train.offline": "(offline; to upload them: wandb sync {folder})",
}

KO = {
    "train.help": "설정 파일대로 학습하고 진행을 지켜봅니다.\n\n학습은 감독을 받습니다. 터미널을 닫아도 계속되며, "
    "Ctrl-C는 지켜보기만 끝냅니다. 첫 스텝 전에 데이터를 검사하고, 중단된 실행은 가장 최근 체크포인트에서 "
    "이어집니다(overnight resume).\n\n"
    "예시:\n\n"
    "  overnight train --config configs/train.yaml\n\n"
    "  overnight train --config configs/train.yaml --set train.lr=3e-4 --set train.epochs=20 --detach\n\n"
    "  overnight new   처음 쓸 configs/train.yaml을 만듭니다",
    "train.config": "설정 파일(YAML). overnight new로 만들 수 있습니다(docs/config.md).",
    "train.set": "설정 키의 다른 값: train.lr=3e-4, data.folds=3. 여러 번 쓸 수 있습니다.",
    "train.detach": "지켜보지 않고 바로 돌아옵니다. --json도 같습니다.",
    "train.name": "실행의 이름. 기본값: 설정의 project.name, 없으면 파일 이름.",
    "train.two_configs": "설정 파일이 둘 지정되었습니다",
    "train.two_configs.fix": "하나만 지정하십시오: overnight train --config {path}",
    "train.no_config": "설정 파일이 지정되지 않았습니다",
    "train.no_config.fix": "overnight train --config configs/train.yaml (overnight new로 만들 수 있습니다)",
    "train.not_yaml": "YAML 설정 파일이 아닙니다",
    "train.not_yaml.fix": "스크립트나 노트북은 이렇게 실행합니다: overnight run {path}",
    "train.args": "설정 파일에는 인자를 줄 수 없습니다",
    "train.args.fix": "키의 값을 바꾸십시오: --set train.epochs=20",
    "train.python": "설정 파일의 학습은 Overnight 자신의 Python에서 실행됩니다",
    "train.python.fix": "--python을 빼십시오. 직접 작성한 스크립트는 어느 Python에서나 실행할 수 있습니다",
    "train.map": "--map은 노트북을 위한 옵션인데, 이것은 설정 파일입니다",
    "train.map.fix": "경로를 직접 지정하십시오: --set data.image_dir_train=폴더",
    "train.no_such_path": "없는 경로입니다: {path}",
    "train.no_such_path.fix": "시작할 때 있던 곳으로 되돌리고 이어서 실행하거나(overnight resume), 새로 시작하십시오",
    "train.no_extra": "학습에 필요한 라이브러리가 설치되어 있지 않습니다",
    "train.no_extra.fix": "pip install 'overnight[{extra}]'",
    "train.data_changed": "데이터나 폴드 구성이 이 실행을 시작할 때와 다릅니다(당시 {num}개)",
    "train.data_changed.fix": "데이터를 되돌리거나 새로 실행하십시오. 모델이 이미 학습한 예제로 평가되어서는 안 됩니다",
    "train.no_checkpoint": "디스크에 {scope} 체크포인트를 쓰지 못했습니다({reason}). 이전 것을 그대로 두고 학습을 "
    "계속합니다",
    "train.best_unsaved": "디스크에 {scope}의 가중치를 {num}번 쓰지 못했습니다. 남은 것은 쓸 수 있었던 것 중 가장 좋은 "
    "에폭 {epoch}의 가중치입니다",
    "train.waits": "추적 서버에 기록이 도착하기를 최대 30초 기다립니다(Ctrl-C: 기다리지 않음) …",
    "train.arrived": "{tracker}: 모든 기록이 도착했습니다 {url}",
    "train.still": "{tracker}: 아직 보낼 기록이 {left}개 있습니다. 에이전트가 이어서 보냅니다(overnight sync {run}) {url}",
    "train.trouble": "{tracker}: {trouble}",
    "train.look": "(보려면: overnight ui{root})",
    "train.offline": "(오프라인입니다. 올리려면: wandb sync {folder})",
}
