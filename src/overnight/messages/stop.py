"""Sentences of ``stop``."""

EN = {
    "stop.help": "Stop a run and everything it started; returns once all of it is gone.\n\n"
    "SIGINT first, so that the job can save; SIGTERM after --grace seconds; SIGKILL 15 s later.\n\n"
    "Example: overnight stop baseline --grace 120",
    "stop.run": "Name, id, or the beginning of an id. Default: the newest run.",
    "stop.now": "Kill at once; nothing can be saved.",
    "stop.grace": "Seconds the job has for saving before SIGTERM.",
    "stop.asked": "stopping {run}; it has {grace} s to save …",
    "stop.done": "{run} is stopped; nothing of it is left running.",
    "stop.ended": "this run is not running ({state})",
    "stop.ended.fix": "overnight ls shows which ones are",
    "stop.elsewhere": "this run belongs to another machine or container: {host}",
    "stop.elsewhere.fix": "stop it there",
    "stop.own": "this run belongs to a notebook or a program of your own",
    "stop.own.fix": "interrupt it there: the notebook's stop button or Ctrl-C, or kill -INT {pid}",
}

KO = {
    "stop.help": "실행과 그것이 시작한 모든 프로세스를 멈춥니다. 전부 사라진 뒤에 돌아옵니다.\n\n"
    "먼저 SIGINT를 보내 저장할 기회를 주고, --grace 초 뒤에 SIGTERM, 다시 15초 뒤에 SIGKILL을 보냅니다.\n\n"
    "예: overnight stop baseline --grace 120",
    "stop.run": "이름, id 또는 id의 앞부분. 기본값: 가장 최근 실행.",
    "stop.now": "바로 강제 종료합니다. 아무것도 저장하지 못합니다.",
    "stop.grace": "SIGTERM을 보내기 전에 작업이 저장할 시간(초).",
    "stop.asked": "{run} 실행을 멈추는 중입니다. 저장할 시간은 {grace}초입니다 …",
    "stop.done": "{run} 실행을 멈췄습니다. 남은 프로세스가 없습니다.",
    "stop.ended": "실행 중이 아닙니다 ({state})",
    "stop.ended.fix": "실행 중인 것은 overnight ls 로 볼 수 있습니다",
    "stop.elsewhere": "다른 컴퓨터나 컨테이너의 실행입니다: {host}",
    "stop.elsewhere.fix": "그곳에서 멈추십시오",
    "stop.own": "노트북이나 프로그램이 스스로 연 실행입니다",
    "stop.own.fix": "그곳에서 중단하십시오: 노트북의 정지 버튼이나 Ctrl-C, 또는 kill -INT {pid}",
}
