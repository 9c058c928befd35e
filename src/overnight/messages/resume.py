"""Sentences of ``resume``."""

EN = {
    "resume.help": "Start another attempt of a run that ended, or take over one whose supervisor is gone.\n\n"
    "The job finds its checkpoints in overnight.checkpoint_dir() and OVERNIGHT_RESUME=1; a job that "
    "saves nothing starts from the beginning.\n\n"
    "Example: overnight resume baseline",
    "resume.code": "kept: refuse if the code has changed; current: run it as it is now.",
    "resume.force": "Also if it belongs to a machine that cannot be seen from here.",
    "resume.code_form": "--code is kept or current",
    "resume.code_form.fix": "leave it out to run the same code again",
    "resume.adopted": "{run} was running on its own (pid {pid}); it is looked after again.\n"
    "  follow  overnight logs -f {word}",
    "resume.with_checkpoint": "{run} goes on (pid {pid}); its checkpoints are where it left them.\n"
    "  follow  overnight logs -f {word}",
    "resume.from_start": "{run} starts from the beginning (pid {pid}): it left nothing in its checkpoint folder.\n"
    "  follow  overnight logs -f {word}",
    "resume.alive": "this run is {state}",
    "resume.alive.fix": "stop it first, or start another one with overnight run",
    "resume.own": "this run belongs to a notebook or a program of your own",
    "resume.own.fix": "run its cell or the program again; overnight run NOTEBOOK makes runs that can be resumed",
    "resume.taken": "another supervisor looks after this run already",
    "resume.taken.fix": "overnight status shows how it is",
    "resume.elsewhere": "this run may still be running on {host}, which cannot be seen from here",
    "resume.elsewhere.fix": "look there first; if it is surely dead: overnight resume RUN --force",
    "resume.code_changed": "the code is not what it was when this run was started",
    "resume.code_changed.fix": "to run it as it is now: overnight resume {run} --code current",
    "resume.code_gone": "the file this run was started from is gone",
    "resume.code_gone.fix": "put it back; a copy lies in the run's code folder",
    "resume.env_missing": "this run was given variables that this shell does not have: {names}",
    "resume.env_missing.fix": "export them, then resume",
}

KO = {
    "resume.help": "끝난 실행을 다시 시도하거나, 감독 프로세스를 잃은 실행을 넘겨받습니다.\n\n"
    "작업은 overnight.checkpoint_dir()와 OVERNIGHT_RESUME=1로 체크포인트를 찾습니다. "
    "저장하지 않는 작업은 처음부터 다시 시작합니다.\n\n"
    "예: overnight resume baseline",
    "resume.code": "kept: 코드가 바뀌었으면 거부합니다. current: 지금의 코드로 실행합니다.",
    "resume.force": "여기서 볼 수 없는 컴퓨터의 실행이라도 넘겨받습니다.",
    "resume.code_form": "--code는 kept 또는 current입니다",
    "resume.code_form.fix": "같은 코드로 다시 실행하려면 옵션을 빼십시오",
    "resume.adopted": "{run} 실행은 감독 없이 계속되고 있었습니다 (pid {pid}). 이제 다시 돌봅니다.\n"
    "  지켜보기  overnight logs -f {word}",
    "resume.with_checkpoint": "{run} 실행을 이어 갑니다 (pid {pid}). 체크포인트는 그대로 있습니다.\n"
    "  지켜보기  overnight logs -f {word}",
    "resume.from_start": "{run} 실행을 처음부터 다시 시작합니다 (pid {pid}). 체크포인트 폴더가 비어 있습니다.\n"
    "  지켜보기  overnight logs -f {word}",
    "resume.alive": "이 실행의 상태: {state}",
    "resume.alive.fix": "먼저 멈추거나, overnight run 으로 새로 시작하십시오",
    "resume.own": "노트북이나 프로그램이 스스로 연 실행입니다",
    "resume.own.fix": "셀이나 프로그램을 다시 실행하십시오. overnight run NOTEBOOK 으로 시작한 실행은 이어 갈 수 있습니다",
    "resume.taken": "다른 감독 프로세스가 이미 이 실행을 돌보고 있습니다",
    "resume.taken.fix": "overnight status 로 상태를 볼 수 있습니다",
    "resume.elsewhere": "여기서 볼 수 없는 {host}에서 아직 실행 중일 수 있습니다",
    "resume.elsewhere.fix": "먼저 그곳을 확인하십시오. 확실히 끝났다면: overnight resume RUN --force",
    "resume.code_changed": "이 실행을 시작했을 때와 코드가 다릅니다",
    "resume.code_changed.fix": "지금의 코드로 실행하려면: overnight resume {run} --code current",
    "resume.code_gone": "이 실행을 시작한 파일이 없어졌습니다",
    "resume.code_gone.fix": "되돌려 놓으십시오. 사본이 실행 폴더의 code에 있습니다",
    "resume.env_missing": "이 실행에 주었던 환경 변수가 이 셸에 없습니다: {names}",
    "resume.env_missing.fix": "export한 다음 다시 시도하십시오",
}
