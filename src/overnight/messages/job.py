"""What ``overnight.log`` and its sisters say on the job's stderr, once each."""

EN = {
    "job.no_run": "no run could be opened",
    "job.unlisted": "the run is recorded, but `overnight ls` will not find it",
    "job.no_end": "the run's end could not be written",
    "job.row_unwritten": "a row could not be written; the training goes on",
    "job.row_unrecorded": "a row could not be recorded",
    "job.reserved": "log: {key} is left out; the name is reserved",
    "job.left_out": "log: {key} is left out",
    "job.not_whole": "log: {key} is left out; it is no whole number",
    "job.no_progress": "progress could not be recorded",
    "job.no_checkpoint_dir": "the checkpoint folder could not be made",
    "job.no_picture": "a picture could not be kept",
    "job.no_event": "an event could not be recorded",
    "job.callback": "a callback of Overnight's failed; the training goes on",
}

KO = {
    "job.no_run": "실행을 열 수 없습니다",
    "job.unlisted": "실행은 기록되지만 `overnight ls`에는 나오지 않습니다",
    "job.no_end": "실행의 끝을 기록하지 못했습니다",
    "job.row_unwritten": "수치 한 줄을 쓰지 못했습니다. 학습은 계속됩니다",
    "job.row_unrecorded": "수치 한 줄을 기록하지 못했습니다",
    "job.reserved": "log: {key} 제외했습니다. 예약된 이름입니다",
    "job.left_out": "log: {key} 제외했습니다",
    "job.not_whole": "log: {key} 제외했습니다. 정수가 아닙니다",
    "job.no_progress": "진행 상황을 기록하지 못했습니다",
    "job.no_checkpoint_dir": "체크포인트 폴더를 만들지 못했습니다",
    "job.no_picture": "그림을 저장하지 못했습니다",
    "job.no_event": "이벤트를 기록하지 못했습니다",
    "job.callback": "Overnight의 콜백에서 오류가 났습니다. 학습은 계속됩니다",
}
