"""Sentences of a search by the trainer."""

EN = {
    "tune.all_failed": "all {num} trials of the search have failed; the first: {why}",
    "tune.all_failed.fix": "output and traceback are in the log above and in the trial's exit.json; put that right and "
    "start again, or try one training first: overnight check --config CONFIG",
    "tune.hopeless": "the first trials all failed for the same reason, so the search ends: {why}",
    "tune.born_dead": "the search's processes die before they have begun a trial ({how})",
    "tune.born_dead.fix": "the log above has what they said last; overnight resume tries again",
    "tune.no_metric": "no epoch has a number called {name}; there are: {known}",
    "tune.no_metric.fix": "name one of them in tuning.metric, or leave it out: the task's main metric counts then",
    "tune.died": "its process died ({how}); another goes on from its checkpoint",
    "tune.died_twice": "its process died {num} times, at last by {how}",
    "tune.traceback": "traceback in {path}",
    "tune.fresh": "the card can do no more in that process; a fresh one goes on",
    "tune.none": "none is complete, so the config's own values hold",
    "tune.next": "to train with them: overnight train --config {path}",
}

KO = {
    "tune.all_failed": "탐색의 시도 {num}개가 모두 실패했습니다. 첫 번째 원인: {why}",
    "tune.all_failed.fix": "출력과 오류 내용은 위 로그와 해당 시도의 exit.json에 있습니다. 고친 뒤 다시 시작하거나, 먼저 학습 하나를 "
    "점검해 보십시오: overnight check --config CONFIG",
    "tune.hopeless": "처음 시도들이 모두 같은 이유로 실패하여 탐색을 끝냅니다: {why}",
    "tune.born_dead": "탐색 프로세스가 시도를 시작하기도 전에 죽습니다({how})",
    "tune.born_dead.fix": "마지막 출력은 위 로그에 있습니다. overnight resume으로 다시 시도합니다",
    "tune.no_metric": "에포크 기록에 {name} 지표가 없습니다. 있는 지표: {known}",
    "tune.no_metric.fix": "tuning.metric에 그중 하나를 쓰거나 비워 두십시오. 비우면 작업의 주 지표를 씁니다",
    "tune.died": "프로세스가 죽었습니다({how}). 다른 프로세스가 체크포인트에서 이어 갑니다",
    "tune.died_twice": "프로세스가 {num}번 죽었습니다. 마지막 원인: {how}",
    "tune.traceback": "자세한 오류 내용: {path}",
    "tune.fresh": "그 프로세스에서는 GPU를 더 쓸 수 없어 새 프로세스가 이어 갑니다",
    "tune.none": "완료된 시도가 없어 설정 파일의 값을 그대로 씁니다",
    "tune.next": "이 값으로 학습하려면: overnight train --config {path}",
}
