"""The names of a run's states, as a person reads them."""

EN = {
    "state.queued": "waiting to start",
    "state.running": "running",
    "state.stalled": "stalled",
    "state.restarting": "restarting",
    "state.stopping": "stopping",
    "state.finished": "finished",
    "state.failed": "failed",
    "state.stopped": "stopped",
    "state.unattended": "unattended",
    "state.lost": "lost",
    "state.elsewhere": "elsewhere",
}

KO = {
    "state.queued": "시작 대기",
    "state.running": "실행 중",
    "state.stalled": "멈춤 의심",
    "state.restarting": "재시작 중",
    "state.stopping": "정지 중",
    "state.finished": "완료",
    "state.failed": "실패",
    "state.stopped": "정지됨",
    "state.unattended": "감독 없음",
    "state.lost": "소식 끊김",
    "state.elsewhere": "다른 곳",
}
