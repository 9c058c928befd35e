"""Sentences of ``train`` and of the trainer."""

EN = {
    "train.help": "Train what a config asks for, and watch it.\n\nThe training is supervised: it outlives this "
    "terminal, and Ctrl-C ends the watching only. The data is checked before the first step, and a run "
    "that was killed goes on from its newest checkpoint (overnight resume).\n\n"
    "Examples:\n\n"
    "  overnight train --config configs/train.yaml\n\n"
    "  overnight train --config configs/train.yaml --set train.lr=3e-4 --set train.epochs=20 --detach\n\n"
    "  overnight train --config configs/train.yaml --mode full-pipeline --optimize --n-trials 20 "
    "--use-calibration --auto-continue --until 07:00   searches, trains all folds with what it found, "
    "calibrates, predicts, and is over by seven\n\n"
    "  overnight train --config configs/train.yaml --optimize   searches only, and writes the config to train with\n\n"
    "  overnight train --config configs/train.yaml --skip-training   predicts with the newest training\n\n"
    "  overnight new   makes configs/train.yaml to begin with",
    "train.config": "The config, a YAML file (overnight new makes one; docs/config.md).",
    "train.set": "Another value for a key of the config: train.lr=3e-4, data.folds=3. Repeatable.",
    "train.detach": "Do not stay and watch. What --json does too.",
    "train.name": "The run's name. Default: project.name of the config, else its file's name.",
    "train.mode": "basic: one model. highperf: a large one, strong augmentation, all folds. full-pipeline: all folds, "
    "then the test images are predicted. Each fills what the config leaves open. Default: full-pipeline with --optimize "
    "or --use-calibration, else the config's, else basic.",
    "train.optimize": "Search for better values first (docs/tuning.md). Without --auto-continue nothing else is done, and "
    "the config to train with is written beside yours.",
    "train.n_trials": "Trials of the search. Default: tuning.n_trials of the config, else 20.",
    "train.optuna_config": "What is searched: a file with the keys of tuning:, or a W&B sweep. Instead of tuning: in the "
    "config.",
    "train.use_calibration": "Fit a temperature to the out-of-fold predictions, so that 0.8 means right in 8 of 10.",
    "train.auto_continue": "Train with what the search has found.",
    "train.skip_training": "Train nothing: with --optimize search only; alone, predict with the newest training.",
    "train.until": "When it has to be over: 07:00, 7am, 'tomorrow 07:00', 8h, 2026-11-22T07:00. Trials and folds are "
    "trimmed to fit, and it ends in time with the best so far.",
    "train.skip_and_continue": "both cannot be: to skip the training, and to go on with it",
    "train.skip_and_continue.fix": "leave one of them out",
    "train.skip_and_calibrate": "without a training there is nothing to calibrate",
    "train.skip_and_calibrate.fix": "calibrate the newest training by: overnight calibrate latest-train",
    "train.skip_and_search": "{option} is for a search, and --skip-training alone predicts",
    "train.skip_and_search.fix": "add --optimize to search only, or leave {option} out",
    "train.skip_and_until": "--until plans a search and a training, and --skip-training alone predicts",
    "train.skip_and_until.fix": "leave --until out",
    "train.todo": "To do: {steps}",
    "train.todo_tune": "{num} trials of a search",
    "train.todo_folds": "{num} folds",
    "train.todo_one": "one model, validated on fold {fold} of {num} (all of them: --set data.valid_fold=all)",
    "train.todo_calibrate": "calibration",
    "train.todo_predict": "submission.csv",
    "train.todo_until": "over by {moment}",
    "train.no_test": "no test images: nothing will be predicted",
    "train.no_test.fix": "name their folder at data.image_dir_test, and the sample at data.sample_csv",
    "train.two_configs": "two configs were named",
    "train.two_configs.fix": "name one: overnight train --config {path}",
    "train.no_config": "no config was named",
    "train.no_config.fix": "overnight train --config configs/train.yaml (overnight new makes one)",
    "train.not_yaml": "this is no YAML config",
    "train.not_yaml.fix": "a script or a notebook is run with: overnight run {path}",
    "train.args": "a config takes no arguments",
    "train.args.fix": "set its keys: --set train.epochs=20; options like --mode are those of overnight train",
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
    "  overnight train --config configs/train.yaml --mode full-pipeline --optimize --n-trials 20 "
    "--use-calibration --auto-continue --until 07:00   탐색하고, 찾은 값으로 모든 폴드를 학습하고, 보정하고, "
    "예측하여 아침 7시까지 끝냅니다\n\n"
    "  overnight train --config configs/train.yaml --optimize   탐색만 하고 학습에 쓸 설정 파일을 만듭니다\n\n"
    "  overnight train --config configs/train.yaml --skip-training   가장 최근에 학습한 모델로 예측합니다\n\n"
    "  overnight new   처음 쓸 configs/train.yaml을 만듭니다",
    "train.config": "설정 파일(YAML). overnight new로 만들 수 있습니다(docs/config.md).",
    "train.set": "설정 키의 다른 값: train.lr=3e-4, data.folds=3. 여러 번 쓸 수 있습니다.",
    "train.detach": "지켜보지 않고 바로 돌아옵니다. --json도 같습니다.",
    "train.name": "실행의 이름. 기본값: 설정의 project.name, 없으면 파일 이름.",
    "train.mode": "basic: 모델 하나. highperf: 큰 모델, 강한 증강, 모든 폴드. full-pipeline: 모든 폴드를 학습하고 테스트 "
    "이미지를 예측. 설정 파일에 없는 값만 채웁니다. 기본값: --optimize나 --use-calibration이 있으면 full-pipeline, "
    "없으면 설정 파일의 값, 그것도 없으면 basic.",
    "train.optimize": "먼저 더 나은 값을 탐색합니다(docs/tuning.md). --auto-continue가 없으면 탐색만 하고, 학습에 쓸 설정 "
    "파일을 원래 파일 옆에 만듭니다.",
    "train.n_trials": "탐색의 시도 횟수. 기본값: 설정의 tuning.n_trials, 없으면 20.",
    "train.optuna_config": "무엇을 탐색할지 쓴 파일: tuning: 의 키, 또는 W&B 스윕. 설정 파일의 tuning: 대신 쓰입니다.",
    "train.use_calibration": "out-of-fold 예측으로 온도를 맞춥니다. 0.8이 열에 여덟은 맞는다는 뜻이 되도록.",
    "train.auto_continue": "탐색에서 찾은 값으로 이어서 학습합니다.",
    "train.skip_training": "학습하지 않습니다. --optimize와 함께: 탐색만. 혼자: 가장 최근에 학습한 모델로 예측.",
    "train.until": "끝나야 하는 시각: 07:00, 7am, 'tomorrow 07:00', 8h, 2026-11-22T07:00. 시도와 폴드를 줄여 맞추고, "
    "그때까지 가장 좋은 결과로 제때 끝냅니다.",
    "train.skip_and_continue": "학습을 건너뛰면서 이어서 학습할 수는 없습니다",
    "train.skip_and_continue.fix": "둘 중 하나를 빼십시오",
    "train.skip_and_calibrate": "학습하지 않으면 보정할 것이 없습니다",
    "train.skip_and_calibrate.fix": "가장 최근에 학습한 모델을 보정하려면: overnight calibrate latest-train",
    "train.skip_and_search": "--skip-training만 쓰면 예측을 하는데, 이 옵션은 탐색을 위한 것입니다: {option}",
    "train.skip_and_search.fix": "탐색만 하려면 --optimize를 더하고, 아니면 {option} 옵션을 빼십시오",
    "train.skip_and_until": "--until은 탐색과 학습을 계획하는 옵션인데, --skip-training만 쓰면 예측을 합니다",
    "train.skip_and_until.fix": "--until을 빼십시오",
    "train.todo": "할 일: {steps}",
    "train.todo_tune": "탐색 {num}회",
    "train.todo_folds": "폴드 {num}개",
    "train.todo_one": "모델 하나, {num}개 중 폴드 {fold}에서 검증(모든 폴드: --set data.valid_fold=all)",
    "train.todo_calibrate": "보정",
    "train.todo_predict": "submission.csv",
    "train.todo_until": "{moment}까지",
    "train.no_test": "테스트 이미지가 없어 예측은 하지 않습니다",
    "train.no_test.fix": "이미지 폴더를 data.image_dir_test에, 제출 예시를 data.sample_csv에 쓰십시오",
    "train.two_configs": "설정 파일이 둘 지정되었습니다",
    "train.two_configs.fix": "하나만 지정하십시오: overnight train --config {path}",
    "train.no_config": "설정 파일이 지정되지 않았습니다",
    "train.no_config.fix": "overnight train --config configs/train.yaml (overnight new로 만들 수 있습니다)",
    "train.not_yaml": "YAML 설정 파일이 아닙니다",
    "train.not_yaml.fix": "스크립트나 노트북은 이렇게 실행합니다: overnight run {path}",
    "train.args": "설정 파일에는 인자를 줄 수 없습니다",
    "train.args.fix": "키의 값을 바꾸십시오: --set train.epochs=20. --mode 같은 옵션은 overnight train에 있습니다",
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
