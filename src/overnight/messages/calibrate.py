"""Sentences of ``calibrate`` and of the temperature it fits."""

EN = {
    "calibrate.help": "Make a model's probabilities mean what they say: fit one temperature to what its folds "
    "predicted of rows they had never seen.\n\nA member's answers stay the same, only how sure it is changes. "
    "Every predictor uses the temperature from then on. A training does this by itself with "
    "--use-calibration, or calibration: true in its config.\n\n"
    "Examples:\n\n"
    "  overnight calibrate baseline\n\n"
    "  overnight calibrate --logits logits.npy --targets targets.npy --out temperature.json",
    "calibrate.run": "A training that is over: name, id, beginning of an id, folder, or latest-train.",
    "calibrate.logits": "Instead of a run: an .npy file of logits, a row an example, a column a class.",
    "calibrate.targets": "With --logits: an .npy file of the right classes' numbers, from 0.",
    "calibrate.folds": "With --logits: an .npy file of the fold of each row. Without it rows are split at random.",
    "calibrate.out": "With --logits: a JSON file to write the temperature and its scores to.",
    "calibrate.title": "temperature {temperature}, fitted to {num} rows of {source}",
    "calibrate.head_before": "before",
    "calibrate.head_after": "after",
    "calibrate.judged": "After: cross-fitted, each row with the temperature that the rows of the other parts ask for ({num} parts).",
    "calibrate.kept_worse": "temperature 1 is kept: {fitted} was fitted, and rows it was not fitted to are predicted "
    "worse with it",
    "calibrate.kept_no_mistake": "temperature 1 is kept: all {num} rows are right, and nothing says how much doubt "
    "they need",
    "calibrate.kept_too_few": "temperature 1 is kept: {num} row is too little to judge by",
    "calibrate.stored": "stored in {path}; every prediction uses it from now on",
    "calibrate.as_before": "that is what {path} says already; nothing was changed",
    "calibrate.written": "written: {path}",
    "calibrate.again": "the run's predictions were made without it; to make them again: overnight predict --from {run}",
    "calibrate.report": "the run's page is as it was; to write it again: overnight report {run}",
    "calibrate.no_picture": "without Matplotlib there is no picture of it; the numbers are kept",
    # What is wrong with arrays
    "calibrate.no_logits": "logits are numbers, a row an example and a column a class, two classes at least; this is "
    "{shape} of {dtype}",
    "calibrate.no_logits.fix": "give an array of N x K: what the last layer puts out, before any softmax",
    "calibrate.no_rows": "there are no rows",
    "calibrate.no_rows.fix": "give the logits of examples that the model has not learnt from",
    "calibrate.no_targets": "there are {num} rows of logits, and targets of {shape}",
    "calibrate.no_targets.fix": "give one class a row",
    "calibrate.no_classes": "targets are the classes' numbers, whole ones from 0 to {last}",
    "calibrate.no_classes.fix": "number the classes as the columns of the logits",
    "calibrate.no_folds": "there are {num} rows of logits, and folds of {shape}",
    "calibrate.no_folds.fix": "give one fold a row, or none at all",
    "calibrate.not_finite": "row {row} has a logit that is no finite number",
    "calibrate.not_finite.fix": "leave such rows out, or mend what made them",
    "calibrate.no_temperature": "a temperature is a number above 0, not {value}",
    "calibrate.no_temperature.fix": "1.0 leaves the logits as they are",
    # What is wrong with files
    "calibrate.no_file": "there is no such file",
    "calibrate.no_file.fix": "name an .npy file, as numpy.save writes it",
    "calibrate.no_array": "this is no array that can be read safely: {why}",
    "calibrate.no_array.fix": "write it again with numpy.save, numbers only; pickled objects are not read",
    "calibrate.which": "a run and --logits cannot both be calibrated",
    "calibrate.which.fix": "name one: overnight calibrate RUN, or --logits with --targets",
    "calibrate.both_files": "{missing} is missing",
    "calibrate.both_files.fix": "give both: --logits L.npy --targets T.npy",
    "calibrate.no_library": "what this needs is not installed: {names}",
    "calibrate.no_library.fix": "pip install numpy scipy, or pip install 'overnight[train]'",
    "calibrate.only_files": "{option} is for --logits; a run keeps its result itself",
    "calibrate.only_files.fix": "leave it out",
    # What is wrong with a run
    "calibrate.not_over": "this run is not over ({state})",
    "calibrate.not_over.fix": "wait for its end (overnight wait), or stop it",
    "calibrate.no_oof": "this run has no predictions of rows its folds had never seen",
    "calibrate.no_oof.fix": "only a training of classes that came to its end has them (oof/oof_logits.npy); if it was "
    "stopped: overnight resume {run}",
    "calibrate.no_model": "this run has left no model",
    "calibrate.no_model.fix": "if it was stopped or failed: overnight resume {run}",
    "calibrate.oof_damaged": "the run's predictions do not fit together: {why}",
    "calibrate.oof_damaged.fix": "put the files of its oof/ folder back as the training left them; without them nothing "
    "can be fitted",
    "calibrate.other_labels": "{path} has {there} classes, the model {labels}",
    "calibrate.unnoted": "the model has its temperature, but the run's ledger did not take all of it",
    "calibrate.unnoted.fix": "the lines above say why; then once more: overnight calibrate {run}",
}

KO = {
    "calibrate.help": "모델의 확률을 믿을 수 있게 만듭니다. 각 폴드가 본 적 없는 행을 예측한 결과에 온도 하나를 "
    "맞춥니다.\n\n각 모델의 답은 그대로이고 확신의 정도만 달라집니다. 이후의 모든 예측이 이 온도를 씁니다. 학습할 때 "
    "--use-calibration을 붙이거나 설정에 calibration: true를 적으면 저절로 합니다.\n\n"
    "예시:\n\n"
    "  overnight calibrate baseline\n\n"
    "  overnight calibrate --logits logits.npy --targets targets.npy --out temperature.json",
    "calibrate.run": "끝난 학습: 이름, id, id의 앞부분, 폴더 또는 latest-train.",
    "calibrate.logits": "실행 대신: 로짓이 든 .npy 파일. 행은 예제, 열은 클래스입니다.",
    "calibrate.targets": "--logits와 함께: 정답 클래스의 번호(0부터)가 든 .npy 파일.",
    "calibrate.folds": "--logits와 함께: 각 행의 폴드가 든 .npy 파일. 없으면 무작위로 나눕니다.",
    "calibrate.out": "--logits와 함께: 온도와 점수를 적을 JSON 파일.",
    "calibrate.title": "온도 {temperature} ({source}의 {num}행에 맞춤)",
    "calibrate.head_before": "전",
    "calibrate.head_after": "후",
    "calibrate.judged": "'후'는 교차 평가입니다. 전체를 {num}부분으로 나누어, 각 행에는 다른 부분에 맞춘 온도를 썼습니다.",
    "calibrate.kept_worse": "온도 1을 그대로 둡니다. {fitted}에 맞춰졌지만, 맞춤에 쓰지 않은 행의 예측이 더 나빠집니다",
    "calibrate.kept_no_mistake": "온도 1을 그대로 둡니다. {num}행이 모두 정답이라 얼마나 의심해야 하는지 알 수 없습니다",
    "calibrate.kept_too_few": "온도 1을 그대로 둡니다. {num}행으로는 평가할 수 없습니다",
    "calibrate.stored": "{path}: 온도를 저장했습니다. 앞으로 모든 예측에 쓰입니다",
    "calibrate.as_before": "{path}: 이미 같은 값입니다. 아무것도 바꾸지 않았습니다",
    "calibrate.written": "저장: {path}",
    "calibrate.again": "이 실행의 예측 파일은 이 온도 없이 만든 것입니다. 다시 만들기: overnight predict --from {run}",
    "calibrate.report": "이 실행의 보고서는 이전 그대로입니다. 다시 만들기: overnight report {run}",
    "calibrate.no_picture": "Matplotlib이 없어 그림은 그리지 않았습니다. 수치는 저장했습니다",
    "calibrate.no_logits": "로짓은 행이 예제, 열이 클래스인 숫자 배열이며 클래스는 둘 이상이어야 합니다. 주어진 것: "
    "{shape} ({dtype})",
    "calibrate.no_logits.fix": "N x K 배열을 주십시오. 소프트맥스를 거치기 전, 마지막 층의 출력입니다",
    "calibrate.no_rows": "행이 하나도 없습니다",
    "calibrate.no_rows.fix": "모델이 학습하지 않은 예제의 로짓을 주십시오",
    "calibrate.no_targets": "로짓은 {num}행인데 정답의 모양은 {shape}입니다",
    "calibrate.no_targets.fix": "행마다 클래스를 하나씩 주십시오",
    "calibrate.no_classes": "정답은 클래스의 번호입니다. 0부터 {last}까지의 정수여야 합니다",
    "calibrate.no_classes.fix": "로짓의 열 순서대로 클래스에 번호를 매기십시오",
    "calibrate.no_folds": "로짓은 {num}행인데 폴드의 모양은 {shape}입니다",
    "calibrate.no_folds.fix": "행마다 폴드를 하나씩 주거나, 아예 주지 마십시오",
    "calibrate.not_finite": "{row}번 행의 로짓에 유한한 숫자가 아닌 값이 있습니다",
    "calibrate.not_finite.fix": "그런 행을 빼거나 원인을 고치십시오",
    "calibrate.no_temperature": "온도는 0보다 큰 숫자입니다. 주어진 값: {value}",
    "calibrate.no_temperature.fix": "1.0이면 로짓이 그대로입니다",
    "calibrate.no_file": "파일이 없습니다",
    "calibrate.no_file.fix": "numpy.save로 저장한 .npy 파일을 지정하십시오",
    "calibrate.no_array": "안전하게 읽을 수 있는 배열이 아닙니다: {why}",
    "calibrate.no_array.fix": "숫자만 담아 numpy.save로 다시 저장하십시오. 피클 객체는 읽지 않습니다",
    "calibrate.which": "실행과 --logits를 함께 보정할 수 없습니다",
    "calibrate.which.fix": "하나만 지정하십시오: overnight calibrate 실행, 또는 --logits와 --targets",
    "calibrate.both_files": "{missing} 옵션이 없습니다",
    "calibrate.both_files.fix": "둘 다 주십시오: --logits L.npy --targets T.npy",
    "calibrate.no_library": "필요한 라이브러리가 설치되어 있지 않습니다: {names}",
    "calibrate.no_library.fix": "pip install numpy scipy 또는 pip install 'overnight[train]'",
    "calibrate.only_files": "{option} 옵션은 --logits와 함께 씁니다. 실행은 결과를 스스로 보관합니다",
    "calibrate.only_files.fix": "빼십시오",
    "calibrate.not_over": "아직 끝나지 않은 실행입니다({state})",
    "calibrate.not_over.fix": "끝날 때까지 기다리거나(overnight wait) 멈추십시오",
    "calibrate.no_oof": "이 실행에는 폴드가 본 적 없는 행을 예측한 결과가 없습니다",
    "calibrate.no_oof.fix": "클래스를 예측하는 학습이 끝까지 가야 생깁니다(oof/oof_logits.npy). 멈춘 실행이라면: "
    "overnight resume {run}",
    "calibrate.no_model": "이 실행이 남긴 모델이 없습니다",
    "calibrate.no_model.fix": "멈추었거나 실패했다면: overnight resume {run}",
    "calibrate.oof_damaged": "이 실행의 예측 파일이 서로 맞지 않습니다: {why}",
    "calibrate.oof_damaged.fix": "oof/ 폴더의 파일을 학습이 남긴 그대로 되돌리십시오. 없으면 맞출 수 없습니다",
    "calibrate.other_labels": "{path}의 클래스는 {there}개, 모델의 클래스는 {labels}개입니다",
    "calibrate.unnoted": "모델에는 온도를 저장했지만 실행의 기록에는 다 적지 못했습니다",
    "calibrate.unnoted.fix": "이유는 위에 나와 있습니다. 해결한 뒤 다시 실행하십시오: overnight calibrate {run}",
}
