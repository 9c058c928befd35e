"""Why a job ended and what to do about it: a text and a fix for each sentence of a cause."""

from __future__ import annotations

EN = {
    "cause.finished": "It finished (exit code 0).",
    "cause.finished.fix": "",
    "cause.no_work": (
        "It finished (exit code 0) after {ran_s} s, but no step or epoch was ever seen."
    ),
    "cause.no_work.fix": (
        "If it should have trained, look for an early exit: an empty data folder, a skipped "
        "branch, sys.exit(0)."
    ),
    "cause.stopped": "A person stopped it.",
    "cause.stopped.fix": "Go on with 'overnight resume'.",
    "cause.stopped_saved": "A person stopped it; the job saved its state first.",
    "cause.stopped_saved.fix": "Go on from there with 'overnight resume'.",
    "cause.host_oom": "The machine's memory ran out and the kernel killed it.",
    "cause.host_oom.fix": (
        "Use less RAM: a smaller batch, fewer data loader workers, data read in pieces instead of "
        "all at once. Or ask for a higher memory limit."
    ),
    "cause.host_oom_probably": (
        "The machine's memory ran out meanwhile, so the kernel probably killed it."
    ),
    "cause.host_oom_probably.fix": (
        "Use less RAM: a smaller batch, fewer data loader workers, data read in pieces. 'overnight "
        "top' shows who uses how much."
    ),
    "cause.host_oom_refused": "It asked for more memory than it could have ({error}).",
    "cause.host_oom_refused.fix": (
        "Use less RAM at once: a smaller batch or array, data read in pieces. 'ulimit -v' shows "
        "whether a limit is set."
    ),
    "cause.cuda_oom": "The GPU's memory ran out.",
    "cause.cuda_oom.fix": (
        "Halve the batch size, or use gradient accumulation, bf16 or smaller inputs. 'nvidia-smi' "
        "shows whether another program holds the memory."
    ),
    "cause.device_assert": "A check inside the GPU failed, most often an index outside its range.",
    "cause.device_assert.fix": (
        "Run one batch with CUDA_LAUNCH_BLOCKING=1, or on the CPU: the traceback then names the "
        "right line."
    ),
    "cause.device_assert_labels": "A label is outside the range the loss allows ({assertion}).",
    "cause.device_assert_labels.fix": (
        "Labels must run from 0 to num_classes - 1. Check min() and max() of the labels, and the "
        "size of the model's last layer."
    ),
    "cause.gpu": "The GPU or its driver reported an error.",
    "cause.gpu.fix": (
        "Look with 'nvidia-smi' and 'overnight doctor'. If it comes back at the same line, run "
        "with CUDA_LAUNCH_BLOCKING=1; if it comes anywhere, suspect the card or the driver."
    ),
    "cause.gpu_none": "No usable GPU was found.",
    "cause.gpu_none.fix": (
        "'overnight doctor' compares torch, driver and card and names the line to install. On the "
        'CPU: torch.load(..., map_location="cpu") and device = "cpu".'
    ),
    "cause.gpu_build": "The installed library was not built for this GPU.",
    "cause.gpu_build.fix": (
        "Install a build that knows the card: 'overnight doctor' prints the line."
    ),
    "cause.nccl": "The processes training together lost contact.",
    "cause.nccl.fix": (
        "Look in the log for the rank that failed first. If none did, raise the timeout of "
        "init_process_group, check the network between the machines, and run with NCCL_DEBUG=INFO."
    ),
    "cause.shm": "Shared memory (/dev/shm) is too small for the data loader's workers.",
    "cause.shm.fix": (
        "Set num_workers=0 or a smaller number. In Docker, start the container with --shm-size=8g "
        "or --ipc=host."
    ),
    "cause.disk_full": "The disk is full.",
    "cause.disk_full.fix": (
        "Make room ('df -h', 'du -sh *'), keep fewer checkpoints, then 'overnight resume'."
    ),
    "cause.disk_full_quota": "Your quota on this disk is used up.",
    "cause.disk_full_quota.fix": (
        "Delete or move files ('quota -s' shows how much you have), or write to another disk."
    ),
    "cause.disk_full_limit": "A file grew beyond the size that is allowed.",
    "cause.disk_full_limit.fix": "'ulimit -f' shows the limit. Raise it, or write smaller files.",
    "cause.disk_full_silent": "The disk is full, so it could probably not even write why it ended.",
    "cause.disk_full_silent.fix": "Make room ('df -h', 'du -sh *'), then 'overnight resume'.",
    "cause.nan_loss": "A number became NaN or infinite.",
    "cause.nan_loss.fix": (
        "Lower the learning rate, clip gradients (clip_grad_norm_), use bf16 rather than fp16, and "
        "look for NaN or zero divisions in the data."
    ),
    "cause.missing_module": "The Python module '{module}' is not installed.",
    "cause.missing_module.fix": "In the job's environment: python -m pip install {package}",
    "cause.missing_module_own": (
        "The Python module '{module}' was not found; by its name it is a file of your own."
    ),
    "cause.missing_module_own.fix": (
        "Start the run in the folder that holds it, or add that folder: --env "
        "PYTHONPATH=/that/folder"
    ),
    "cause.missing_module_library": "The system library '{module}' is not installed.",
    "cause.missing_module_library.fix": (
        "Install the package that brings it (libGL.so.1: 'apt-get install libgl1', or "
        "opencv-python-headless in place of opencv-python)."
    ),
    "cause.signal": "It was ended by {name}.",
    "cause.signal.fix": (
        "The signal came from outside or from a crash in native code; the end of the log may say "
        "more."
    ),
    "cause.signal_kill": (
        "Somebody or something killed it (SIGKILL). The kernel's counters show no lack of memory."
    ),
    "cause.signal_kill.fix": (
        "Usual senders: a person with 'kill -9', a container or cluster at its limit, earlyoom or "
        "systemd-oomd. 'overnight resume' goes on."
    ),
    "cause.signal_kill_uncounted": (
        "Somebody or something killed it (SIGKILL). Whether memory ran out cannot be seen here."
    ),
    "cause.signal_kill_uncounted.fix": (
        "First suspect memory: use a smaller batch and fewer workers. Other senders: a person with "
        "'kill -9', a container or cluster at its limit."
    ),
    "cause.signal_segv": "It crashed inside native code (SIGSEGV).",
    "cause.signal_segv.fix": (
        "Run again with --env PYTHONFAULTHANDLER=1 to see the line. Most often two libraries do "
        "not fit together: update or reinstall the one named there."
    ),
    "cause.signal_abrt": "Native code gave up (SIGABRT).",
    "cause.signal_abrt.fix": (
        "The line above it in the log names the reason. Run again with --env PYTHONFAULTHANDLER=1 "
        "to see the Python line."
    ),
    "cause.signal_bus": (
        "It read memory that is gone (SIGBUS): a file cut short while mapped, a full disk, or a "
        "full /dev/shm."
    ),
    "cause.signal_bus.fix": (
        "Check 'df -h' and 'df -h /dev/shm', and that nothing rewrites the data files during the "
        "run."
    ),
    "cause.signal_ill": "A library uses instructions this CPU does not have (SIGILL).",
    "cause.signal_ill.fix": "Install a build for this CPU, or run on another machine.",
    "cause.signal_term": "Something outside asked it to end (SIGTERM).",
    "cause.signal_term.fix": (
        "Usual senders: a shutdown, a cluster's time limit, a container being stopped, a person "
        "with 'kill'. 'overnight resume' goes on."
    ),
    "cause.signal_int": "It was interrupted (SIGINT), but not by 'overnight stop'.",
    "cause.signal_int.fix": (
        "Somebody pressed Ctrl-C in its place or sent SIGINT. 'overnight resume' goes on."
    ),
    "cause.signal_hup": "Its terminal was closed (SIGHUP).",
    "cause.signal_hup.fix": (
        "The job itself turned SIGHUP on again; leave that signal alone. 'overnight resume' goes "
        "on."
    ),
    "cause.signal_xcpu": "It used up the CPU time allowed (SIGXCPU).",
    "cause.signal_xcpu.fix": (
        "'ulimit -t' shows the limit in seconds. Raise it, or run in shorter pieces."
    ),
    "cause.signal_saved": (
        "Something outside asked it to end ({name}); the job saved its state first."
    ),
    "cause.signal_saved.fix": (
        "Usual senders: a shutdown, a cluster's time limit, a container being stopped. 'overnight "
        "resume' goes on from there."
    ),
    "cause.exception": "An error ended it: {error}.",
    "cause.exception.fix": (
        "Read the traceback from its last line upwards; the first line of your own code is where "
        "to look."
    ),
    "cause.exception_import": (
        "Two installed packages do not fit together, or one is missing a part."
    ),
    "cause.exception_import.fix": (
        "Do what the line says, or update both packages in the job's environment."
    ),
    "cause.exception_worker": "A worker process died without saying why.",
    "cause.exception_worker.fix": (
        "Run again with num_workers=0 (or one process): the real error then appears."
    ),
    "cause.exception_labels": "An index or a label is outside its range.",
    "cause.exception_labels.fix": (
        "Labels must run from 0 to num_classes - 1, token ids below the vocabulary's size. Check "
        "min() and max()."
    ),
    "cause.exception_shape": "Two shapes do not fit together.",
    "cause.exception_shape.fix": (
        "Print .shape of the inputs of the line named. Often the model's last layer, the image "
        "channels or the batch's last piece differ."
    ),
    "cause.exception_device": "Tensors lie on different devices.",
    "cause.exception_device.fix": "Move the model and every batch to the same device: .to(device).",
    "cause.exception_checkpoint": "A saved model or checkpoint could not be loaded.",
    "cause.exception_checkpoint.fix": (
        "Check that the file is whole and was made by the same model. A half-written file: delete "
        "it and use the one before."
    ),
    "cause.exception_file": "A file or folder was not found.",
    "cause.exception_file.fix": (
        "Check the path. Relative paths count from the folder the run was started in."
    ),
    "cause.exception_permission": "A file may not be read or written.",
    "cause.exception_permission.fix": (
        "Look with 'ls -l' who owns it, and write to a folder of your own."
    ),
    "cause.exception_open_files": "Too many files are open at once.",
    "cause.exception_open_files.fix": (
        "Raise the limit ('ulimit -n 65535') before the start, use fewer workers, or "
        'torch.multiprocessing.set_sharing_strategy("file_system").'
    ),
    "cause.exception_syntax": "The code has a syntax error, so it never started.",
    "cause.exception_syntax.fix": (
        "Correct the line named. 'python -m py_compile FILE' checks it in a second."
    ),
    "cause.exception_recursion": "A function called itself without end.",
    "cause.exception_recursion.fix": (
        "Find the function that repeats in the traceback; it lacks its end."
    ),
    "cause.exception_encoding": "A text is not in the encoding it was read or written with.",
    "cause.exception_encoding.fix": (
        'Name the encoding: open(path, encoding="utf-8"), pd.read_csv(path, encoding="cp949") for '
        "files from Korean Windows; or --env PYTHONUTF8=1."
    ),
    "cause.exception_login": "A service refused the login or the token.",
    "cause.exception_login.fix": (
        "Set the token as a variable (HF_TOKEN, WANDB_API_KEY) and, for a gated model, accept its "
        "terms on its page."
    ),
    "cause.exception_network": "The network or a server could not be reached.",
    "cause.exception_network.fix": (
        "Download data and weights before the run, and try again; 'overnight run --restart 3' "
        "tries by itself."
    ),
    "cause.exit_code": "It ended with exit code {code} and gave no reason that is recognised.",
    "cause.exit_code.fix": "Read the last lines with 'overnight logs'.",
    "cause.exit_code_command": "A command was not found (exit code {code}).",
    "cause.exit_code_command.fix": (
        "Check its spelling and that it is installed in the environment of the job."
    ),
    "cause.exit_code_executable": "A command may not be executed (exit code {code}).",
    "cause.exit_code_executable.fix": (
        "'chmod +x FILE', or put its interpreter in front: bash FILE, python FILE."
    ),
    "cause.exit_code_said": "It gave up: {said}",
    "cause.exit_code_said.fix": (
        "Put that right ('overnight logs' has all of it), then: overnight resume. It keeps its "
        "settings: where one of them must change, start anew."
    ),
    "cause.exit_code_usage": "The program does not accept its arguments (exit code {code}).",
    "cause.exit_code_usage.fix": (
        "Call it with --help and compare the arguments after the script's name."
    ),
    "cause.unknown": "Why it ended is not known.",
    "cause.unknown.fix": "Read the last lines with 'overnight logs'; 'overnight resume' goes on.",
    "cause.stopped_own": "It was interrupted (Ctrl-C, or the notebook's stop button).",
    "cause.stopped_own.fix": "",
    "cause.signal_kill_own": (
        "Somebody or something killed the process (SIGKILL). The kernel's counters show no lack of "
        "memory."
    ),
    "cause.signal_kill_own.fix": (
        "Usual senders: a notebook server that restarts or shuts down a kernel, a person with "
        "'kill -9', a container or cluster at its limit, earlyoom or systemd-oomd."
    ),
    "cause.signal_term_own": "Something outside asked the process to end (SIGTERM).",
    "cause.signal_term_own.fix": (
        "Usual senders: a notebook server that shuts down, a shutdown of the machine, a cluster's "
        "time limit, a person with 'kill'."
    ),
    "cause.unknown_own": (
        "The process is gone without a word; what ended it was told to its parent alone."
    ),
    "cause.unknown_own.fix": (
        "First suspect memory: use a smaller batch and fewer workers. A notebook server that "
        "restarts a kernel and a container at its limit end a process like this too."
    ),
    "cause.unknown_left": (
        "The program ended (exit code 0) in the middle of what was being watched."
    ),
    "cause.unknown_left.fix": (
        "A notebook's kernel that is shut down or restarted does this; so do os._exit(0) and a "
        "thread that is still at work when the program ends."
    ),
    "cause.peak": " It had used up to {peak_gib} GiB.",
    "cause.at_cell": " It happened in notebook cell {cell}, line {cell_line}.",
    "cause.at_file": " It happened in {file}, line {line}.",
}

KO = {
    "cause.finished": "정상적으로 끝났습니다(종료 코드 0).",
    "cause.finished.fix": "",
    "cause.no_work": (
        "{ran_s}초 만에 정상적으로 끝났지만(종료 코드 0), 스텝이나 에폭이 한 번도 보이지 "
        "않았습니다."
    ),
    "cause.no_work.fix": (
        "학습을 했어야 한다면 일찍 끝난 곳을 찾아보십시오: 빈 데이터 폴더, 건너뛴 분기, "
        "sys.exit(0)."
    ),
    "cause.stopped": "사용자가 중지했습니다.",
    "cause.stopped.fix": "'overnight resume' 명령으로 이어서 실행할 수 있습니다.",
    "cause.stopped_saved": "사용자가 중지했으며, 작업은 상태를 저장한 뒤 끝났습니다.",
    "cause.stopped_saved.fix": (
        "'overnight resume' 명령으로 저장된 곳부터 이어서 실행할 수 있습니다."
    ),
    "cause.host_oom": "컴퓨터의 메모리가 부족하여 커널이 작업을 강제 종료했습니다.",
    "cause.host_oom.fix": (
        "RAM 사용량을 줄이십시오: 배치 크기와 데이터 로더 워커 수를 줄이고, 데이터를 한꺼번에 읽지 "
        "말고 나누어 읽으십시오. 메모리 한도를 높여 달라고 요청할 수도 있습니다."
    ),
    "cause.host_oom_probably": (
        "실행 중에 컴퓨터의 메모리가 부족했으므로, 커널이 작업을 강제 종료한 것으로 보입니다."
    ),
    "cause.host_oom_probably.fix": (
        "RAM 사용량을 줄이십시오: 배치 크기와 데이터 로더 워커 수를 줄이고, 데이터를 나누어 "
        "읽으십시오. 'overnight top' 명령으로 사용량을 볼 수 있습니다."
    ),
    "cause.host_oom_refused": "쓸 수 있는 것보다 많은 메모리를 요청했습니다({error}).",
    "cause.host_oom_refused.fix": (
        "한 번에 쓰는 RAM을 줄이십시오: 배치나 배열을 작게 하고, 데이터를 나누어 읽으십시오. "
        "한도가 걸려 있는지는 'ulimit -v' 명령으로 볼 수 있습니다."
    ),
    "cause.cuda_oom": "GPU 메모리가 부족합니다.",
    "cause.cuda_oom.fix": (
        "배치 크기를 절반으로 줄이거나, 그래디언트 누적, bf16, 더 작은 입력을 쓰십시오. 다른 "
        "프로그램이 메모리를 쓰고 있는지는 'nvidia-smi' 명령으로 볼 수 있습니다."
    ),
    "cause.device_assert": "GPU 안의 검사가 실패했습니다. 대개 인덱스가 범위를 벗어난 경우입니다.",
    "cause.device_assert.fix": (
        "CUDA_LAUNCH_BLOCKING=1 설정으로, 또는 CPU에서 배치 하나만 실행해 보십시오. 그러면 오류가 "
        "난 정확한 줄이 나옵니다."
    ),
    "cause.device_assert_labels": "레이블이 손실 함수가 허용하는 범위를 벗어났습니다({assertion}).",
    "cause.device_assert_labels.fix": (
        "레이블은 0부터 num_classes - 1까지여야 합니다. 레이블의 min()과 max(), 모델 마지막 층의 "
        "크기를 확인하십시오."
    ),
    "cause.gpu": "GPU 또는 드라이버에서 오류가 발생했습니다.",
    "cause.gpu.fix": (
        "'nvidia-smi'와 'overnight doctor' 명령으로 확인하십시오. 늘 같은 줄에서 나면 "
        "CUDA_LAUNCH_BLOCKING=1 설정으로 실행하고, 여기저기서 나면 카드나 드라이버를 의심하십시오."
    ),
    "cause.gpu_none": "쓸 수 있는 GPU를 찾지 못했습니다.",
    "cause.gpu_none.fix": (
        "'overnight doctor' 명령이 torch, 드라이버, 카드를 비교하여 설치할 명령을 알려 줍니다. "
        'CPU에서 쓰려면 torch.load(..., map_location="cpu")와 device = "cpu"로 바꾸십시오.'
    ),
    "cause.gpu_build": "설치된 라이브러리가 이 GPU를 지원하지 않습니다.",
    "cause.gpu_build.fix": (
        "이 카드를 지원하는 빌드를 설치하십시오. 'overnight doctor' 명령이 설치할 명령을 알려 "
        "줍니다."
    ),
    "cause.nccl": "함께 학습하던 프로세스들의 연결이 끊어졌습니다.",
    "cause.nccl.fix": (
        "로그에서 가장 먼저 실패한 랭크를 찾으십시오. 없으면 init_process_group의 제한 시간을 "
        "늘리고, 컴퓨터 사이의 네트워크를 확인하고, NCCL_DEBUG=INFO 설정으로 실행하십시오."
    ),
    "cause.shm": "공유 메모리(/dev/shm)가 데이터 로더 워커에게 너무 작습니다.",
    "cause.shm.fix": (
        "num_workers=0 또는 더 작은 값으로 설정하십시오. Docker에서는 --shm-size=8g 또는 "
        "--ipc=host 옵션으로 컨테이너를 시작하십시오."
    ),
    "cause.disk_full": "디스크가 가득 찼습니다.",
    "cause.disk_full.fix": (
        "공간을 확보하고('df -h', 'du -sh *') 체크포인트를 적게 남긴 뒤 'overnight resume' 명령을 "
        "실행하십시오."
    ),
    "cause.disk_full_quota": "이 디스크에서 쓸 수 있는 할당량을 모두 썼습니다.",
    "cause.disk_full_quota.fix": (
        "파일을 지우거나 옮기십시오(할당량은 'quota -s' 명령으로 볼 수 있습니다). 다른 디스크에 쓸 "
        "수도 있습니다."
    ),
    "cause.disk_full_limit": "파일이 허용된 크기를 넘었습니다.",
    "cause.disk_full_limit.fix": (
        "한도는 'ulimit -f' 명령으로 볼 수 있습니다. 한도를 높이거나 파일을 작게 나누어 쓰십시오."
    ),
    "cause.disk_full_silent": "디스크가 가득 차서, 끝난 이유조차 기록하지 못한 것으로 보입니다.",
    "cause.disk_full_silent.fix": (
        "공간을 확보한 뒤('df -h', 'du -sh *') 'overnight resume' 명령을 실행하십시오."
    ),
    "cause.nan_loss": "숫자가 NaN 또는 무한대가 되었습니다.",
    "cause.nan_loss.fix": (
        "학습률을 낮추고, 그래디언트를 자르고(clip_grad_norm_), fp16 대신 bf16을 쓰고, 데이터에 "
        "NaN이나 0으로 나누는 곳이 없는지 확인하십시오."
    ),
    "cause.missing_module": "파이썬 모듈 '{module}' 설치가 필요합니다.",
    "cause.missing_module.fix": "작업의 환경에서 실행하십시오: python -m pip install {package}",
    "cause.missing_module_own": (
        "파이썬 모듈 '{module}' 파일을 찾지 못했습니다. 이름으로 보아 직접 만든 파일입니다."
    ),
    "cause.missing_module_own.fix": (
        "그 파일이 있는 폴더에서 실행하거나, 폴더를 추가하십시오: --env PYTHONPATH=/그/폴더"
    ),
    "cause.missing_module_library": "시스템 라이브러리 '{module}' 파일이 설치되어 있지 않습니다.",
    "cause.missing_module_library.fix": (
        "그 파일이 들어 있는 패키지를 설치하십시오(libGL.so.1: 'apt-get install libgl1', 또는 "
        "opencv-python 대신 opencv-python-headless)."
    ),
    "cause.signal": "{name} 신호로 끝났습니다.",
    "cause.signal.fix": (
        "신호가 외부에서 왔거나 네이티브 코드가 비정상 종료되었습니다. 로그의 끝부분에 더 자세한 "
        "내용이 있을 수 있습니다."
    ),
    "cause.signal_kill": (
        "누군가 또는 무언가가 강제 종료했습니다(SIGKILL). 커널의 기록에는 메모리 부족이 없습니다."
    ),
    "cause.signal_kill.fix": (
        "흔한 원인: 'kill -9'를 실행한 사람, 한도에 이른 컨테이너나 클러스터, earlyoom, "
        "systemd-oomd. 'overnight resume' 명령으로 이어서 실행할 수 있습니다."
    ),
    "cause.signal_kill_uncounted": (
        "누군가 또는 무언가가 강제 종료했습니다(SIGKILL). 메모리 부족이었는지는 여기서 알 수 "
        "없습니다."
    ),
    "cause.signal_kill_uncounted.fix": (
        "먼저 메모리 부족을 의심하십시오: 배치 크기와 워커 수를 줄이십시오. 다른 원인: 'kill -9'를 "
        "실행한 사람, 한도에 이른 컨테이너나 클러스터."
    ),
    "cause.signal_segv": "네이티브 코드 안에서 비정상 종료되었습니다(SIGSEGV).",
    "cause.signal_segv.fix": (
        "--env PYTHONFAULTHANDLER=1 옵션으로 다시 실행하면 해당 줄이 나옵니다. 대개 두 "
        "라이브러리가 서로 맞지 않으므로, 거기에 나온 것을 업데이트하거나 다시 설치하십시오."
    ),
    "cause.signal_abrt": "네이티브 코드가 실행을 포기했습니다(SIGABRT).",
    "cause.signal_abrt.fix": (
        "로그의 바로 윗줄에 이유가 있습니다. --env PYTHONFAULTHANDLER=1 옵션으로 다시 실행하면 "
        "파이썬 코드의 줄이 나옵니다."
    ),
    "cause.signal_bus": (
        "사라진 메모리를 읽었습니다(SIGBUS): 매핑된 파일이 잘렸거나, 디스크 또는 /dev/shm이 가득 "
        "찼습니다."
    ),
    "cause.signal_bus.fix": (
        "'df -h'와 'df -h /dev/shm' 명령으로 확인하고, 실행 중에 데이터 파일을 고치는 것이 없는지 "
        "보십시오."
    ),
    "cause.signal_ill": "라이브러리가 이 CPU에 없는 명령어를 씁니다(SIGILL).",
    "cause.signal_ill.fix": "이 CPU에 맞는 빌드를 설치하거나 다른 컴퓨터에서 실행하십시오.",
    "cause.signal_term": "외부에서 종료를 요청했습니다(SIGTERM).",
    "cause.signal_term.fix": (
        "흔한 원인: 시스템 종료, 클러스터의 시간 제한, 컨테이너 중지, 'kill'을 실행한 사람. "
        "'overnight resume' 명령으로 이어서 실행할 수 있습니다."
    ),
    "cause.signal_int": "'overnight stop'이 아닌 다른 곳에서 중단되었습니다(SIGINT).",
    "cause.signal_int.fix": (
        "누군가 Ctrl-C를 누르거나 SIGINT를 보냈습니다. 'overnight resume' 명령으로 이어서 실행할 "
        "수 있습니다."
    ),
    "cause.signal_hup": "터미널이 닫혀 끝났습니다(SIGHUP).",
    "cause.signal_hup.fix": (
        "작업이 스스로 SIGHUP을 다시 켰습니다. 그 신호는 그대로 두십시오. 'overnight resume' "
        "명령으로 이어서 실행할 수 있습니다."
    ),
    "cause.signal_xcpu": "허용된 CPU 시간을 모두 썼습니다(SIGXCPU).",
    "cause.signal_xcpu.fix": (
        "한도는 'ulimit -t' 명령으로 초 단위로 볼 수 있습니다. 한도를 높이거나 나누어 실행하십시오."
    ),
    "cause.signal_saved": "외부에서 종료를 요청했으며({name}), 작업은 상태를 저장한 뒤 끝났습니다.",
    "cause.signal_saved.fix": (
        "흔한 원인: 시스템 종료, 클러스터의 시간 제한, 컨테이너 중지. 'overnight resume' 명령으로 "
        "저장된 곳부터 이어서 실행할 수 있습니다."
    ),
    "cause.exception": "오류 때문에 끝났습니다: {error}.",
    "cause.exception.fix": (
        "오류 기록을 마지막 줄부터 위로 읽으십시오. 직접 쓴 코드가 처음 나오는 줄이 살펴볼 "
        "곳입니다."
    ),
    "cause.exception_import": "설치된 두 패키지가 서로 맞지 않거나, 한쪽에 빠진 것이 있습니다.",
    "cause.exception_import.fix": (
        "아래 줄의 안내를 따르거나, 작업의 환경에서 두 패키지를 모두 업데이트하십시오."
    ),
    "cause.exception_worker": "워커 프로세스가 이유를 남기지 않고 끝났습니다.",
    "cause.exception_worker.fix": (
        "num_workers=0(또는 프로세스 하나)으로 다시 실행하면 실제 오류가 나옵니다."
    ),
    "cause.exception_labels": "인덱스 또는 레이블이 범위를 벗어났습니다.",
    "cause.exception_labels.fix": (
        "레이블은 0부터 num_classes - 1까지, 토큰 번호는 어휘 크기보다 작아야 합니다. min()과 "
        "max()를 확인하십시오."
    ),
    "cause.exception_shape": "두 텐서(배열)의 모양이 맞지 않습니다.",
    "cause.exception_shape.fix": (
        "해당 줄에 들어가는 값의 .shape를 출력해 보십시오. 모델의 마지막 층, 이미지 채널 수, "
        "마지막 배치의 크기가 다른 경우가 많습니다."
    ),
    "cause.exception_device": "텐서들이 서로 다른 장치에 있습니다.",
    "cause.exception_device.fix": "모델과 모든 배치를 같은 장치로 옮기십시오: .to(device).",
    "cause.exception_checkpoint": "저장된 모델이나 체크포인트를 불러오지 못했습니다.",
    "cause.exception_checkpoint.fix": (
        "파일이 온전한지, 같은 모델로 만든 것인지 확인하십시오. 쓰다 만 파일이면 지우고 그 앞의 "
        "것을 쓰십시오."
    ),
    "cause.exception_file": "파일이나 폴더를 찾지 못했습니다.",
    "cause.exception_file.fix": (
        "경로를 확인하십시오. 상대 경로는 실행을 시작한 폴더를 기준으로 합니다."
    ),
    "cause.exception_permission": "파일을 읽거나 쓸 권한이 없습니다.",
    "cause.exception_permission.fix": "'ls -l' 명령으로 소유자를 확인하고, 자신의 폴더에 쓰십시오.",
    "cause.exception_open_files": "한꺼번에 너무 많은 파일을 열었습니다.",
    "cause.exception_open_files.fix": (
        "시작하기 전에 한도를 높이거나('ulimit -n 65535'), 워커 수를 줄이거나, "
        'torch.multiprocessing.set_sharing_strategy("file_system")를 쓰십시오.'
    ),
    "cause.exception_syntax": "코드에 문법 오류가 있어 시작하지 못했습니다.",
    "cause.exception_syntax.fix": (
        "해당 줄을 고치십시오. 'python -m py_compile 파일' 명령으로 금방 확인할 수 있습니다."
    ),
    "cause.exception_recursion": "함수가 자기 자신을 끝없이 불렀습니다.",
    "cause.exception_recursion.fix": (
        "오류 기록에서 반복되는 함수를 찾으십시오. 끝나는 조건이 빠져 있습니다."
    ),
    "cause.exception_encoding": "글자의 인코딩이 읽거나 쓸 때 지정한 것과 다릅니다.",
    "cause.exception_encoding.fix": (
        '인코딩을 지정하십시오: open(path, encoding="utf-8"), 한글 Windows에서 만든 파일은 '
        'pd.read_csv(path, encoding="cp949"). --env PYTHONUTF8=1 옵션도 도움이 됩니다.'
    ),
    "cause.exception_login": "서비스가 로그인 또는 토큰을 거부했습니다.",
    "cause.exception_login.fix": (
        "토큰을 환경 변수로 지정하십시오(HF_TOKEN, WANDB_API_KEY). 승인이 필요한 모델이면 모델 "
        "페이지에서 약관에 동의하십시오."
    ),
    "cause.exception_network": "네트워크 또는 서버에 연결하지 못했습니다.",
    "cause.exception_network.fix": (
        "데이터와 가중치를 미리 내려받은 뒤 다시 실행하십시오. 'overnight run --restart 3'은 "
        "스스로 다시 시도합니다."
    ),
    "cause.exit_code": "알아볼 수 있는 이유를 남기지 않고 끝났습니다(종료 코드 {code}).",
    "cause.exit_code.fix": "'overnight logs' 명령으로 마지막 줄들을 읽어 보십시오.",
    "cause.exit_code_command": "명령을 찾지 못했습니다(종료 코드 {code}).",
    "cause.exit_code_command.fix": "철자를 확인하고, 작업의 환경에 설치되어 있는지 확인하십시오.",
    "cause.exit_code_executable": "명령을 실행할 수 없습니다(종료 코드 {code}).",
    "cause.exit_code_executable.fix": (
        "'chmod +x 파일' 명령을 실행하거나, 앞에 인터프리터를 붙이십시오: bash 파일, python 파일."
    ),
    "cause.exit_code_said": "스스로 멈췄습니다: {said}",
    "cause.exit_code_said.fix": (
        "그 문제를 해결하고('overnight logs'에 전부 있습니다) 이어서 실행하십시오: overnight resume. "
        "설정은 그대로 유지되므로, 설정을 바꿔야 한다면 새로 시작하십시오."
    ),
    "cause.exit_code_usage": "프로그램이 인자를 받아들이지 않습니다(종료 코드 {code}).",
    "cause.exit_code_usage.fix": "--help 옵션으로 실행하여 스크립트 이름 뒤의 인자와 비교하십시오.",
    "cause.unknown": "끝난 이유를 알 수 없습니다.",
    "cause.unknown.fix": (
        "'overnight logs' 명령으로 마지막 줄들을 읽어 보십시오. 'overnight resume' 명령으로 이어서 "
        "실행할 수 있습니다."
    ),
    "cause.stopped_own": "중단되었습니다(Ctrl-C 또는 노트북의 정지 버튼).",
    "cause.stopped_own.fix": "",
    "cause.signal_kill_own": (
        "누군가 또는 무언가가 프로세스를 강제로 종료했습니다(SIGKILL). 커널의 기록에는 메모리 부족이 없습니다."
    ),
    "cause.signal_kill_own.fix": (
        "흔한 원인: 커널을 재시작하거나 종료한 노트북 서버, 사람의 'kill -9', 한도에 이른 컨테이너나 "
        "클러스터, earlyoom 또는 systemd-oomd."
    ),
    "cause.signal_term_own": "밖에서 프로세스에 종료를 요청했습니다(SIGTERM).",
    "cause.signal_term_own.fix": (
        "흔한 원인: 종료된 노트북 서버, 시스템 종료, 클러스터의 시간 제한, 사람의 'kill' 명령."
    ),
    "cause.unknown_own": (
        "프로세스가 아무 말 없이 사라졌습니다. 무엇이 끝냈는지는 그 부모 프로세스에게만 전달됩니다."
    ),
    "cause.unknown_own.fix": (
        "먼저 메모리를 의심하십시오. 배치를 줄이고 워커 수를 줄이십시오. 커널을 재시작한 노트북 서버나 "
        "한도에 이른 컨테이너도 이렇게 프로세스를 끝냅니다."
    ),
    "cause.unknown_left": "지켜보던 부분이 끝나기 전에 프로그램이 종료되었습니다(종료 코드 0).",
    "cause.unknown_left.fix": (
        "노트북 커널을 종료하거나 재시작하면 이렇게 됩니다. os._exit(0)이나, 프로그램이 끝날 때 아직 "
        "일하던 스레드도 마찬가지입니다."
    ),
    "cause.peak": " 메모리를 최대 {peak_gib} GiB까지 썼습니다.",
    "cause.at_cell": " 노트북 셀 {cell}, {cell_line}번째 줄에서 발생했습니다.",
    "cause.at_file": " {file} 파일 {line}번째 줄에서 발생했습니다.",
}
