"""Sentences every verb may say."""

EN = {
    "cli.help": "Leave a training job; wake up to its result. Runs notebooks, scripts and commands "
    "detached, records every number, says how long is left, and resumes after a crash.\n\n"
    "First steps: overnight run train.py · overnight status · overnight logs -f",
    "cli.usage": "usage: {usage}",
    "cli.arguments": "arguments",
    "cli.options": "options",
    "cli.commands": "verbs (overnight VERB --help tells more)",
    "cli.default": "default: {value}",
    "cli.help_option": "Show this page.",
    "cli.install_completion": "Complete verbs and runs in this shell with the Tab key.",
    "cli.show_completion": "Print the completion script for this shell.",
    "cli.version": "Print the version.",
    "cli.debug": "Show the traceback of an error.",
    "cli.json": "Answer in JSON, for programs.",
    "cli.error": "error: {what}",
    "cli.error_where": "  where: {where}",
    "cli.error_fix": "  fix:   {fix}",
    "cli.no_such_option": "there is no option {option}",
    "cli.no_such_verb": "there is no verb '{verb}'",
    "cli.missing": "{name} is missing",
    "cli.did_you_mean": "did you mean {near}?",
    "cli.see_help": "{command} --help shows what there is",
    "cli.system_refused": "the system refused: {reason}",
    "cli.system_refused.fix": "check that the path exists, that it is yours, and that the disk has room "
    "(overnight doctor)",
    "cli.not_on_windows": "detached runs need Linux or macOS",
    "cli.not_on_windows.fix": "on Windows, use it inside WSL 2",
    "cli.bug": "Overnight failed ({name}: {text}). Your runs are not affected.",
    "cli.bug.fix": "run the same command with `overnight --debug …` and report what it prints",
}

KO = {
    "cli.help": "학습을 맡겨 두고 아침에 결과를 받으십시오. 노트북·스크립트·명령을 터미널과 분리하여 "
    "실행하고, 모든 수치를 기록하고, 남은 시간을 알려 주고, 중단되면 이어서 실행합니다.\n\n"
    "첫걸음: overnight run train.py · overnight status · overnight logs -f",
    "cli.usage": "사용법: {usage}",
    "cli.arguments": "인자",
    "cli.options": "옵션",
    "cli.commands": "명령 (자세한 내용: overnight 명령 --help)",
    "cli.default": "기본값: {value}",
    "cli.help_option": "이 도움말을 보여 줍니다.",
    "cli.install_completion": "이 셸에서 Tab 키로 명령과 실행 이름을 완성하게 합니다.",
    "cli.show_completion": "이 셸의 자동 완성 스크립트를 출력합니다.",
    "cli.version": "버전을 출력합니다.",
    "cli.debug": "오류의 트레이스백을 보여 줍니다.",
    "cli.json": "프로그램이 읽을 JSON으로 답합니다.",
    "cli.error": "오류: {what}",
    "cli.error_where": "  위치: {where}",
    "cli.error_fix": "  해결: {fix}",
    "cli.no_such_option": "없는 옵션입니다: {option}",
    "cli.no_such_verb": "없는 명령입니다: '{verb}'",
    "cli.missing": "필요한 값이 없습니다: {name}",
    "cli.did_you_mean": "혹시 이것입니까? {near}",
    "cli.see_help": "{command} --help 로 사용법을 볼 수 있습니다",
    "cli.system_refused": "시스템이 거부했습니다: {reason}",
    "cli.system_refused.fix": "경로가 있는지, 권한이 있는지, 디스크에 공간이 있는지 확인하십시오 (overnight doctor)",
    "cli.not_on_windows": "분리 실행은 Linux나 macOS에서만 됩니다",
    "cli.not_on_windows.fix": "Windows에서는 WSL 2 안에서 쓰십시오",
    "cli.bug": "Overnight 자체의 오류입니다 ({name}: {text}). 실행 중인 작업에는 영향이 없습니다.",
    "cli.bug.fix": "같은 명령을 `overnight --debug …`로 실행하고 출력된 내용을 알려 주십시오",
}
