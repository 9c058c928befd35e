"""What ``overnight notify`` and the options about it say."""

EN = {
    "notify.help": "Where you are told how a run is going, and messages of your own.\n\n"
    "  overnight notify add phone          asks which service, and for what it needs\n"
    "  overnight notify test phone         sends a line now\n"
    "  overnight run --notify phone --alert 'val_f1 > 0.9' train.py",
    "notify.add.help": "Keep a channel under a name. What is secret is asked for without being shown and "
    "stored readable by you alone.\n\n"
    "  overnight notify add phone kakao\n"
    "  overnight notify add mail naver\n"
    "  overnight notify add team slack\n"
    "  overnight notify add home < url.txt   any Apprise URL, from a file or a pipe",
    "notify.add.name": "What you will call it: phone, mail, team.",
    "notify.add.service": "kakao, naver, mail, slack, line, discord, telegram, teams, ntfy, desktop, console "
    "or apprise; asked for if left out.",
    "notify.add.format": "How messages are written for it: short, full or custom.",
    "notify.add.which": "Which service is {name}?",
    "notify.add.service_question": "service",
    "notify.add.no_input": "standard input holds no URL",
    "notify.add.no_input.fix": "type overnight notify add {name} in a terminal, or hand over a file: … < url.txt",
    "notify.added": "{name} is kept ({service}). Try it: overnight notify test {name}\n"
    "Runs started from now on tell there, unless notify.yaml or --notify says otherwise.",
    "notify.add.login": "KakaoTalk takes messages after a login: overnight notify login kakao --name {name}",
    "notify.removed": "{name} is forgotten.",
    "notify.login.help": "Log in where a copied address is not enough: KakaoTalk (in a browser, also on "
    "another computer) and Naver mail (application password).\n\n"
    "  overnight notify login kakao --name phone\n"
    "  overnight notify login naver --name mail",
    "notify.login.service": "kakao or naver.",
    "notify.login.name": "The channel's name; by default that of your only KakaoTalk channel, else the service's.",
    "notify.login.paste": "The browser is on another computer: paste the address it ends at. So by itself over SSH.",
    "notify.login.port": "The port of the registered redirect address.",
    "notify.logged_in": "{name} is logged in; the login lasts {days} days and is renewed by itself while runs are "
    "told there. Try it: overnight notify test {name}",
    "notify.login.which": "you have several KakaoTalk channels: {names}",
    "notify.login.which.fix": "say which one with --name",
    "notify.login.unknown": "there is nothing to log in to at '{service}'",
    "notify.login.unknown.fix": "kakao and naver have a login; for all others: overnight notify add NAME SERVICE",
    "notify.channels.help": "List the channels, and what is wrong with them.",
    "notify.test.help": "Send a line to a channel now (to all if none is named).\n\n  overnight notify test phone",
    "notify.test.names": "Channels.",
    "notify.test.title": "Overnight",
    "notify.test.text": "This channel works. Messages about your runs on {host} will look like this.",
    "notify.test.sent": "sent; look whether it has arrived",
    "notify.test.retry_fix": "nothing is wrong with the address as far as one can tell; check the network "
    "and try again",
    "notify.send.help": "Send a message of your own; it is delivered even if the network is away for hours.\n\n"
    '  overnight notify send "labels are ready" --to team --attach plot.png',
    "notify.send.text": "The message; - reads it from standard input.",
    "notify.send.to": "A channel; all if left out. May be given several times.",
    "notify.send.attach": "A file, where the channel takes files. May be given several times.",
    "notify.send.title": "A title.",
    "notify.send.empty": "the message is empty",
    "notify.send.empty.fix": "say something",
    "notify.send.no_file": "there is no such file",
    "notify.send.no_file.fix": "check the path",
    "notify.send.sending": "sending …",
    "notify.outcome.delivered": "delivered",
    "notify.outcome.merged": "delivered together with others",
    "notify.outcome.refused": "refused",
    "notify.outcome.expired": "given up after a day",
    "notify.outcome.waiting": "waits; it is tried again by itself for a day",
    "notify.remove.help": "Forget a channel.",
    "notify.remove.name": "The channel.",
    "notify.heartbeat.help": "Keep a web address that is asked for every 5 minutes while a run is under way "
    "(healthchecks.io, Uptime Kuma and the like): it notices when the whole machine goes silent. "
    "$OVERNIGHT_HEARTBEAT_URL does the same.\n\n  overnight notify heartbeat",
    "notify.heartbeat.remove": "Forget it.",
    "notify.heartbeat.removed": "The heartbeat address is forgotten.",
    "notify.heartbeat.ask": "address",
    "notify.heartbeat.form": "this is no web address",
    "notify.heartbeat.form.fix": "it begins with https://; copy it from the service that watches",
    "notify.heartbeat.kept": "Kept. It is asked for every 5 minutes while a run is under way; with "
    "overnight agent --install always.",
    "notify.none": "no channel is known yet",
    "notify.none.fix": "overnight notify add phone",
    "notify.unknown": "there is no channel of this name",
    "notify.unknown.fix": "known are: {names} (overnight notify add NAME makes another)",
    "notify.misspelt": "there is no such channel; did you mean {near}?",
    "notify.misspelt.fix": "known are: {names} (overnight notify add NAME makes another)",
    "notify.of_environment": "this channel is defined by a variable of the environment",
    "notify.of_environment.fix": "unset {variable}, here and in .env or the shell's start file",
    "notify.secret_argument": "an address or token on the command line is not taken: it stands in the "
    "shell's history and in every ps of this machine",
    "notify.secret_argument.fix": "overnight notify add phone asks for it without showing it; "
    "change a token that was typed here",
    "notify.hidden": "{question} (not shown): ",
    "notify.source.file": "kept",
    "notify.source.environment": "environment",
    "notify.column.name": "NAME",
    "notify.column.service": "SERVICE",
    "notify.column.source": "FROM",
    "notify.column.format": "FORMAT",
    "notify.waiting": "{num} messages wait",
    "notify.gone": "no channel is called {name} any more",
}

KO = {
    "notify.help": "실행 소식을 받을 곳을 정하고, 직접 메시지를 보냅니다.\n\n"
    "  overnight notify add phone          서비스와 필요한 것을 묻습니다\n"
    "  overnight notify test phone         지금 한 줄을 보냅니다\n"
    "  overnight run --notify phone --alert 'val_f1 > 0.9' train.py",
    "notify.add.help": "채널을 이름으로 저장합니다. 비밀 값은 화면에 보이지 않게 묻고, 본인만 읽을 수 있게 저장합니다.\n\n"
    "  overnight notify add phone kakao\n"
    "  overnight notify add mail naver\n"
    "  overnight notify add team slack\n"
    "  overnight notify add home < url.txt   파일이나 파이프로 넘기는 Apprise URL",
    "notify.add.name": "부를 이름: phone, mail, team.",
    "notify.add.service": "kakao, naver, mail, slack, line, discord, telegram, teams, ntfy, desktop, console, "
    "apprise 중 하나. 생략하면 묻습니다.",
    "notify.add.format": "메시지 형식: short, full, custom.",
    "notify.add.which": "{name}: 어느 서비스입니까?",
    "notify.add.service_question": "서비스",
    "notify.add.no_input": "표준 입력에 URL이 없습니다",
    "notify.add.no_input.fix": "터미널에서 overnight notify add {name} 명령을 쓰거나 파일을 넘기십시오: … < url.txt",
    "notify.added": "{name} 채널을 저장했습니다({service}). 확인: overnight notify test {name}\n"
    "이제 시작하는 실행은 notify.yaml이나 --notify가 달리 정하지 않으면 이 채널로 알립니다.",
    "notify.add.login": "카카오톡은 로그인한 뒤에 보낼 수 있습니다: overnight notify login kakao --name {name}",
    "notify.removed": "{name} 채널을 지웠습니다.",
    "notify.login.help": "주소를 복사하는 것으로 부족한 곳에 로그인합니다. 카카오톡(다른 컴퓨터의 브라우저도 가능), "
    "네이버 메일(애플리케이션 비밀번호).\n\n"
    "  overnight notify login kakao --name phone\n"
    "  overnight notify login naver --name mail",
    "notify.login.service": "kakao 또는 naver.",
    "notify.login.name": "채널 이름. 기본값은 하나뿐인 카카오톡 채널의 이름이고, 없으면 서비스 이름입니다.",
    "notify.login.paste": "브라우저가 다른 컴퓨터에 있으면 마지막 주소를 붙여 넣습니다. SSH에서는 자동입니다.",
    "notify.login.port": "등록한 리다이렉트 주소의 포트.",
    "notify.logged_in": "{name} 채널에 로그인했습니다. {days}일 동안 유효하며, 실행 소식을 보내는 동안 스스로 갱신합니다. "
    "확인: overnight notify test {name}",
    "notify.login.which": "카카오톡 채널이 여러 개입니다: {names}",
    "notify.login.which.fix": "--name 으로 하나를 고르십시오",
    "notify.login.unknown": "'{service}': 로그인할 수 있는 서비스가 아닙니다",
    "notify.login.unknown.fix": "로그인은 kakao와 naver에 있습니다. 나머지는 overnight notify add 이름 서비스",
    "notify.channels.help": "채널 목록과 문제를 보여 줍니다.",
    "notify.test.help": "지금 채널로 한 줄을 보냅니다(이름이 없으면 모든 채널).\n\n  overnight notify test phone",
    "notify.test.names": "채널.",
    "notify.test.title": "Overnight",
    "notify.test.text": "이 채널은 동작합니다. {host} 서버의 실행 소식이 이렇게 옵니다.",
    "notify.test.sent": "보냈습니다. 도착했는지 확인하십시오",
    "notify.test.retry_fix": "주소에는 문제가 보이지 않습니다. 네트워크를 확인하고 다시 시도하십시오",
    "notify.send.help": "직접 메시지를 보냅니다. 네트워크가 몇 시간 끊겨도 전달합니다.\n\n"
    '  overnight notify send "라벨링 완료" --to team --attach plot.png',
    "notify.send.text": "메시지. - 이면 표준 입력에서 읽습니다.",
    "notify.send.to": "채널. 생략하면 모두. 여러 번 쓸 수 있습니다.",
    "notify.send.attach": "파일을 받는 채널이면 첨부합니다. 여러 번 쓸 수 있습니다.",
    "notify.send.title": "제목.",
    "notify.send.empty": "메시지가 비어 있습니다",
    "notify.send.empty.fix": "보낼 내용을 쓰십시오",
    "notify.send.no_file": "그런 파일이 없습니다",
    "notify.send.no_file.fix": "경로를 확인하십시오",
    "notify.send.sending": "보내는 중 …",
    "notify.outcome.delivered": "전달했습니다",
    "notify.outcome.merged": "다른 메시지와 함께 전달했습니다",
    "notify.outcome.refused": "거부되었습니다",
    "notify.outcome.expired": "하루 동안 시도하고 그만두었습니다",
    "notify.outcome.waiting": "기다립니다. 하루 동안 스스로 다시 시도합니다",
    "notify.remove.help": "채널을 지웁니다.",
    "notify.remove.name": "채널.",
    "notify.heartbeat.help": "실행 중에 5분마다 요청할 웹 주소를 저장합니다(healthchecks.io, Uptime Kuma 등). "
    "컴퓨터 전체가 멈추면 그쪽에서 알아챕니다. $OVERNIGHT_HEARTBEAT_URL 변수도 같은 일을 합니다.\n\n"
    "  overnight notify heartbeat",
    "notify.heartbeat.remove": "지웁니다.",
    "notify.heartbeat.removed": "하트비트 주소를 지웠습니다.",
    "notify.heartbeat.ask": "주소",
    "notify.heartbeat.form": "웹 주소가 아닙니다",
    "notify.heartbeat.form.fix": "https:// 로 시작하는 주소를 감시 서비스에서 복사하십시오",
    "notify.heartbeat.kept": "저장했습니다. 실행 중에 5분마다 요청합니다. overnight agent --install 이면 항상 요청합니다.",
    "notify.none": "아직 채널이 없습니다",
    "notify.none.fix": "overnight notify add phone",
    "notify.unknown": "그런 이름의 채널이 없습니다",
    "notify.unknown.fix": "있는 채널: {names} (추가: overnight notify add 이름)",
    "notify.misspelt": "그런 채널이 없습니다. 혹시 {near} 입니까?",
    "notify.misspelt.fix": "있는 채널: {names} (추가: overnight notify add 이름)",
    "notify.of_environment": "환경 변수로 정한 채널입니다",
    "notify.of_environment.fix": "unset {variable} 을 실행하고, .env나 셸 시작 파일에서도 지우십시오",
    "notify.secret_argument": "명령줄에 쓴 주소나 토큰은 받지 않습니다. 셸 기록과 이 컴퓨터의 모든 ps에 남습니다",
    "notify.secret_argument.fix": "overnight notify add phone 명령은 보이지 않게 묻습니다. 여기에 입력한 토큰은 바꾸십시오",
    "notify.hidden": "{question} (보이지 않음): ",
    "notify.source.file": "저장됨",
    "notify.source.environment": "환경 변수",
    "notify.column.name": "이름",
    "notify.column.service": "서비스",
    "notify.column.source": "출처",
    "notify.column.format": "형식",
    "notify.waiting": "메시지 {num}개가 기다립니다",
    "notify.gone": "{name} 채널은 더 이상 없습니다",
}
