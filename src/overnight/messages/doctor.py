"""The doctor's findings: a sentence each and, where something can be done, a second one."""

from __future__ import annotations

EN = {
    # The command
    "doctor.help": (
        "Say whether this machine is fit to be left alone with a training job.\n\n"
        "Looks at disk, memory, limits, shared memory, logout rules, containers and network "
        "folders, and compares torch with the driver and the card. Changes nothing. Exits with 1 "
        "if something is certain to fail.\n\n"
        "Example: overnight doctor --python ~/envs/train/bin/python"
    ),
    "doctor.help.python": "The Python the job will run in. Default: the active environment's.",
    "doctor.help.root": "The folder below which runs are written. Default: the project's.",
    "doctor.help.json": "Print the findings as JSON.",
    "doctor.examining": "Examining the machine (importing torch can take half a minute) …",
    "doctor.summary.ok": "{mark} Nothing stands in the way ({num} findings).",
    "doctor.summary.warn": "Nothing is certain to fail. Before leaving it alone, look at what is marked {mark} ({num}).",
    "doctor.summary.bad": "Put right first what is marked {mark} ({num}).",
    "doctor.summary.unknown": "Could not be found out: what is marked {mark} ({num}).",
    # What is looked at
    "doctor.name.python": "Python",
    "doctor.name.disk": "disk",
    "doctor.name.filesystem": "file system",
    "doctor.name.memory": "memory",
    "doctor.name.limits": "limits",
    "doctor.name.shm": "shared memory",
    "doctor.name.logind": "logging out",
    "doctor.name.container": "surroundings",
    "doctor.name.updates": "reboots",
    "doctor.name.clock": "clock",
    "doctor.name.locale": "locale",
    "doctor.name.git": "git",
    "doctor.name.gpu": "GPU",
    "doctor.name.torch": "torch",
    "doctor.name.channels": "channels",
    "doctor.name.trackers": "trackers",
    "doctor.name.probe": "unanswered",
    # Python
    "doctor.python.option": "Jobs run in Python {version}: {path} (named with --python).",
    "doctor.python.venv": "Jobs run in Python {version}: {path} (the active virtual environment).",
    "doctor.python.conda": "Jobs run in Python {version}: {path} (the active conda environment).",
    "doctor.python.own": (
        "Jobs run in Python {version}: {path} (Overnight's own; no environment is active)."
    ),
    "doctor.python.old": (
        "The job's Python is {version}: {path}. A job runs in it, but overnight.log needs 3.9."
    ),
    "doctor.python.old.fix": "Make a newer environment: uv venv --python 3.12",
    "doctor.python.broken": "The job's Python does not start: {path} {message}",
    "doctor.python.broken.fix": (
        "Activate a working environment, or name one: --python /path/to/python"
    ),
    # Disk
    "doctor.disk.enough": "{free} free for {path}.",
    "doctor.disk.low": "Only {free} free for {path}.",
    "doctor.disk.low.fix": (
        "Make room, or put runs on another disk: overnight run --root FOLDER. A full disk ends "
        "most trainings at the next checkpoint."
    ),
    "doctor.disk.few_inodes": (
        "Only {inodes} more files fit on the disk of {path}, whatever its free space."
    ),
    "doctor.disk.few_inodes.fix": (
        "Remove folders of many small files (old environments, caches, extracted data sets)."
    ),
    "doctor.disk.not_writable": "Nothing can be written to {path}.",
    "doctor.disk.not_writable.fix": "Choose a folder of your own: overnight run --root FOLDER",
    "doctor.disk.unreadable": "{path} cannot be looked into: {reason}.",
    "doctor.disk.unreadable.fix": "Make the folder, or choose another: --root FOLDER",
    # File system
    "doctor.filesystem.local": "{path} is on a local disk ({type}).",
    "doctor.filesystem.container": "{path} is in the container's own layer ({type}).",
    "doctor.filesystem.network": (
        "{path} is on a network disk ({type}). While its server is away, a job that writes there "
        "stands still."
    ),
    "doctor.filesystem.network.fix": (
        "Put runs and data on a local disk (--root /scratch/…) and copy what matters afterwards."
    ),
    "doctor.filesystem.object_store": (
        "{path} is an object store or a cloud drive mounted as a folder ({type}). Appending "
        "there is slow or not kept until the file is closed: a crash can lose records."
    ),
    "doctor.filesystem.object_store.fix": (
        "Put runs on a local disk (--root FOLDER) and copy whole checkpoints to the store."
    ),
    "doctor.filesystem.memory": (
        "{path} is in memory ({type}): a reboot empties it, and what lies there uses up RAM."
    ),
    "doctor.filesystem.memory.fix": "Put runs on a disk: --root FOLDER",
    "doctor.filesystem.windows": (
        "{path} is a folder of the host mounted into a virtual machine ({type}): slow with many "
        "small files."
    ),
    "doctor.filesystem.windows.fix": "Keep project and data on the Linux side, below your home.",
    "doctor.filesystem.unknown": "On what kind of disk {path} lies could not be found out.",
    # Memory
    "doctor.memory.enough": "{available} of {total} RAM available.",
    "doctor.memory.limit": (
        "{available} of {total} RAM available, but this session may use {limit} at most (control "
        "group)."
    ),
    "doctor.memory.low": "Only {available} of {total} RAM available.",
    "doctor.memory.low.fix": (
        "See who uses it (overnight top, htop). When memory runs out the kernel kills the "
        "largest job."
    ),
    "doctor.memory.low_limit": (
        "{available} of {total} RAM available, and this session may use {limit} at most (control "
        "group)."
    ),
    "doctor.memory.low_limit.fix": (
        "Ask for a higher limit (docker run --memory, sbatch --mem), or use a smaller batch and "
        "fewer DataLoader workers."
    ),
    "doctor.memory.unknown": "How much memory there is could not be found out.",
    # Limits
    "doctor.limits.enough": "Open files {nofile}, processes {nproc}.",
    "doctor.limits.nofile": (
        "At most {soft} files may be open at once. DataLoader workers can use up that many."
    ),
    "doctor.limits.nofile.fix": (
        "ulimit -n {reachable}   (in the shell that starts the run, or in ~/.bashrc)"
    ),
    "doctor.limits.nofile_hard": (
        "At most {soft} files may be open at once, and the shell may not raise it. DataLoader "
        "workers can use up that many."
    ),
    "doctor.limits.nofile_hard.fix": (
        "Ask the administrator for a higher nofile in /etc/security/limits.conf, or use fewer "
        "workers."
    ),
    "doctor.limits.nproc": (
        "At most {num} processes and threads are allowed. Workers with many threads each can "
        "reach that."
    ),
    "doctor.limits.nproc.fix": (
        "Raise it (ulimit -u, docker run --pids-limit), or set OMP_NUM_THREADS=1 and use fewer "
        "workers."
    ),
    "doctor.limits.core": (
        "A crash writes the job's whole memory to a file beside it (core dump), which can fill "
        "the disk."
    ),
    "doctor.limits.core.fix": "ulimit -c 0   (in the shell that starts the run)",
    "doctor.limits.as": (
        "Address space is limited to {amount}. CUDA reserves far more than it uses, and fails."
    ),
    "doctor.limits.as.fix": "ulimit -v unlimited",
    "doctor.limits.fsize": (
        "No file may grow beyond {amount}. A larger checkpoint or log ends the job."
    ),
    "doctor.limits.fsize.fix": "ulimit -f unlimited",
    "doctor.limits.cpu": (
        "A process is killed after {amount} of CPU time. This is usual on login nodes."
    ),
    "doctor.limits.cpu.fix": (
        "Run on a compute node (sbatch, srun), or ask for the limit to be lifted: ulimit -t "
        "unlimited"
    ),
    "doctor.limits.unknown": "This system does not tell its limits.",
    # Shared memory
    "doctor.shm.enough": "{path} has {total}.",
    "doctor.shm.small": (
        "{path} has only {total}. DataLoader workers pass batches through it and die with a bus "
        "error when it is full."
    ),
    "doctor.shm.small.fix": (
        "Start the container with --shm-size=8g or --ipc=host; else num_workers=0."
    ),
    "doctor.shm.full": (
        "Only {free} of {total} are free in {path}. DataLoader workers die with a bus error when "
        "it is full."
    ),
    "doctor.shm.full.fix": (
        "Look for leftovers of dead programs with ls -l {path}, and remove your own."
    ),
    "doctor.shm.absent": "There is no {path}.",
    # Logging out
    "doctor.logind.none": "No systemd here: logging out ends nothing that Overnight starts.",
    "doctor.logind.spares": (
        "Logging out ends nothing that Overnight starts (KillUserProcesses=no)."
    ),
    "doctor.logind.kills": (
        "Logging out ends everything you started, detached or not (KillUserProcesses=yes)."
    ),
    "doctor.logind.kills.fix": (
        "loginctl enable-linger, then start runs with: systemd-run --user --scope overnight run …"
    ),
    "doctor.logind.kills_others": (
        "Logging out ends what was started in a login session (KillUserProcesses=yes). This "
        "shell is in none, but your next login is."
    ),
    "doctor.logind.kills_others.fix": (
        "loginctl enable-linger, then start runs with: systemd-run --user --scope overnight run …"
    ),
    "doctor.logind.removes_ipc": (
        "At your last logout your shared memory is removed (RemoveIPC=yes). Jobs that share "
        "arrays between processes then fail."
    ),
    "doctor.logind.removes_ipc.fix": "loginctl enable-linger",
    "doctor.logind.unknown": "What logging out ends could not be found out: logind did not answer.",
    "doctor.logind.unknown.fix": "Try it with a short run: log out, log in again, overnight status",
    # Surroundings
    "doctor.container.none": "No container, no batch job: runs last as long as the machine does.",
    "doctor.container.container": "This is a container ({kind}). Every run ends when it does.",
    "doctor.container.container.fix": (
        "Keep the container running (detached, no --rm), and the project on a mounted volume."
    ),
    "doctor.container.no_init": (
        "The container's first process is {first}, which does not clear away ended processes."
    ),
    "doctor.container.no_init.fix": "Start the container with: docker run --init …",
    "doctor.container.apptainer": (
        "This is a container that runs as an ordinary process ({kind}): runs do not end with it."
    ),
    "doctor.container.colab": (
        "This is Colab. Every run ends with the session: some 90 minutes after the tab is "
        "closed, 12 hours at the latest on the free plan."
    ),
    "doctor.container.colab.fix": (
        "Save checkpoints to Drive, and resume from there: overnight.checkpoint_dir() names the "
        "folder."
    ),
    "doctor.container.kaggle": (
        "This is Kaggle. An interactive session ends soon after the tab is closed, and after 12 "
        "hours in any case."
    ),
    "doctor.container.kaggle.fix": (
        "Use Save Version > Save & Run All for a night, and write to /kaggle/working."
    ),
    "doctor.container.codespaces": (
        "This is a Codespace. It stops after 30 minutes without anyone at the keyboard, and its "
        "runs with it."
    ),
    "doctor.container.codespaces.fix": (
        "Raise the idle timeout in the settings of your GitHub account (240 minutes at most)."
    ),
    "doctor.container.jupyterhub": (
        "This is a JupyterHub server. Many hubs end a server that nobody looks at, and its runs "
        "with it."
    ),
    "doctor.container.jupyterhub.fix": "Ask the hub's administrator for its idle rule (culling).",
    "doctor.container.wsl": (
        "This is WSL. Windows ends it some time after its last window is closed, when it sleeps, "
        "and when it updates."
    ),
    "doctor.container.wsl.fix": (
        "Keep one WSL window open, set vmIdleTimeout=-1 in .wslconfig, and switch off sleep and "
        "automatic restarts."
    ),
    "doctor.container.batch": "This is inside a {batch} job. Every run ends with its time limit.",
    "doctor.container.batch.fix": (
        "Ask for enough time, and resume in the next job: overnight resume"
    ),
    # Reboots
    "doctor.updates.manual": "The machine does not reboot by itself after updates.",
    "doctor.updates.reboots": (
        "The machine reboots by itself when an update asks for it "
        "(Unattended-Upgrade::Automatic-Reboot)."
    ),
    "doctor.updates.reboots.fix": (
        "Ask the administrator to switch it off while runs are on; afterwards: overnight resume"
    ),
    "doctor.updates.reboots_tonight": (
        "An update waits for a reboot, and the machine does it by itself, usually at night."
    ),
    "doctor.updates.reboots_tonight.fix": "Reboot now (sudo reboot), before the run.",
    # Clock
    "doctor.clock.synchronised": "{now} {zone}, kept in time.",
    "doctor.clock.unsynchronised": "{now} {zone}, but nothing keeps the clock in time.",
    "doctor.clock.unsynchronised.fix": "sudo timedatectl set-ntp true",
    "doctor.clock.unchecked": (
        "{now} {zone}; whether the clock is kept in time could not be found out."
    ),
    "doctor.clock.behind": (
        "The clock says {now} {zone}, which is before Overnight was installed. Downloads over "
        "https and shown times will be wrong."
    ),
    "doctor.clock.behind.fix": "sudo timedatectl set-ntp true",
    # Locale
    "doctor.locale.utf8": "The terminal writes {codeset}.",
    "doctor.locale.not_utf8": (
        "The terminal writes {codeset}: names and messages in other scripts come out broken."
    ),
    "doctor.locale.not_utf8.fix": "export LANG=C.UTF-8",
    # git
    "doctor.git.repository": "git {version}; runs note the commit of {path}.",
    "doctor.git.no_repository": (
        "git {version}; {path} is no repository, so runs note no commit (the code itself is kept)."
    ),
    "doctor.git.missing": "git is not installed: runs cannot note which commit they ran.",
    "doctor.git.missing.fix": "sudo apt install git   (or conda install git)",
    "doctor.git.ownership": "git {version} does not read {path}: it belongs to another user.",
    "doctor.git.ownership.fix": "git config --global --add safe.directory {path}",
    # GPU
    "doctor.gpu.ready": "{cards}; driver {driver}.",
    "doctor.gpu.none": "No NVIDIA card here: training runs on the CPU.",
    "doctor.gpu.no_driver": "There is an NVIDIA card, but no driver for it (no nvidia-smi).",
    "doctor.gpu.no_driver.fix": (
        "Ubuntu: sudo ubuntu-drivers install --gpgpu, then reboot. In a container: start it with "
        "--gpus all."
    ),
    "doctor.gpu.hung": "nvidia-smi did not answer within {limit} s: the driver or a card hangs.",
    "doctor.gpu.hung.fix": "sudo dmesg | grep -i xid shows which card; a reboot usually helps.",
    "doctor.gpu.mismatch": (
        "The NVIDIA driver was updated under the running system: the kernel's part and the "
        "libraries differ."
    ),
    "doctor.gpu.mismatch.fix": "Reboot.",
    "doctor.gpu.broken": "nvidia-smi fails: {message}",
    "doctor.gpu.broken.fix": (
        "Reboot; if that does not help, install the driver anew. In a container: start it with "
        "--gpus all."
    ),
    "doctor.gpu.busy": "Card {index} is in use: {used} of {total} are taken.",
    "doctor.gpu.busy.fix": "nvidia-smi shows by whom. With several cards choose a free one: overnight run --env CUDA_VISIBLE_DEVICES=INDEX …",
    # torch
    "doctor.torch.absent": "torch is not installed in {python}.",
    "doctor.torch.absent.fix": "If the job needs it: {line}",
    "doctor.torch.absent_with_card": "torch is not installed in {python}.",
    "doctor.torch.absent_with_card.fix": "If the job needs it: {line}",
    "doctor.torch.absent_no_build": "torch is not installed in {python}, and no build of it fits driver {driver} and these cards.",
    "doctor.torch.absent_no_build.fix": "Update the NVIDIA driver (580 or later); if the cards are from before 2014, train on the CPU.",
    "doctor.torch.jit_no_build": "torch {version} has no finished kernels for {cards}; the driver compiles them at the first start, which takes minutes.",
    "doctor.torch.jit_no_build.fix": "Let the first start run through; later ones find the result in ~/.nv/ComputeCache.",
    "doctor.torch.some_unsupported_no_build": "torch {version} has no kernels for {cards} (it has {archs}), and no build has them for all cards here; the other cards work.",
    "doctor.torch.some_unsupported_no_build.fix": "Leave them out: overnight run --env CUDA_VISIBLE_DEVICES=…",
    "doctor.torch.fails_no_build": "torch {version} fails on {cards}: {message}",
    "doctor.torch.fails_no_build.fix": "Is the card set to exclusive mode and taken (nvidia-smi)? Else reboot.",
    "doctor.torch.works": "torch {version} (CUDA {cuda}) ran a test on {cards}.",
    "doctor.torch.fits": "torch {version} (CUDA {cuda}) fits the driver and {cards}.",
    "doctor.torch.jit": (
        "torch {version} has no finished kernels for {cards}; the driver compiles them at the "
        "first start, which takes minutes."
    ),
    "doctor.torch.jit.fix": "A newer build may have them: {line}",
    "doctor.torch.cpu_only": "torch {version}, without CUDA; there is no NVIDIA card here either.",
    "doctor.torch.no_card": "torch {version} (CUDA {cuda}); without a card it runs on the CPU.",
    "doctor.torch.no_driver": (
        "torch {version}; whether it fits the card cannot be told while the driver does not answer."
    ),
    "doctor.torch.cpu_build": "torch {version} was built without CUDA: it leaves the card idle.",
    "doctor.torch.cpu_build.fix": "{line}",
    "doctor.torch.cpu_build_no_build": (
        "torch {version} was built without CUDA, and no build fits driver {driver} and these cards."
    ),
    "doctor.torch.cpu_build_no_build.fix": (
        "Update the NVIDIA driver (580 or later); if the cards are from before 2014, train on "
        "the CPU."
    ),
    "doctor.torch.rocm_build": "torch {version} was built for AMD cards; here is one of NVIDIA's.",
    "doctor.torch.rocm_build.fix": "{line}",
    "doctor.torch.rocm_build_no_build": (
        "torch {version} was built for AMD cards, and no build fits driver {driver} and these "
        "cards."
    ),
    "doctor.torch.rocm_build_no_build.fix": (
        "Update the NVIDIA driver (580 or later); if the cards are from before 2014, train on "
        "the CPU."
    ),
    "doctor.torch.rocm": (
        "torch {version} was built for AMD cards (ROCm) and did not run a test on one. AMD's "
        "drivers are not examined."
    ),
    "doctor.torch.driver_too_old": (
        "torch {version} needs driver {min_driver} or later (CUDA {cuda}); here is {driver}."
    ),
    "doctor.torch.driver_too_old.fix": "Update the driver, or take a build for this one: {line}",
    "doctor.torch.driver_too_old_no_build": (
        "torch {version} needs driver {min_driver} or later (CUDA {cuda}); here is {driver}, for "
        "which there is no build that runs on these cards."
    ),
    "doctor.torch.driver_too_old_no_build.fix": "Update the NVIDIA driver (580 or later).",
    "doctor.torch.card_unsupported": (
        "torch {version} has no kernels for {cards} (it has {archs}): every CUDA call will fail."
    ),
    "doctor.torch.card_unsupported.fix": "{line}",
    "doctor.torch.card_unsupported_no_build": (
        "torch {version} has no kernels for {cards} (it has {archs}), and no build has them for "
        "all cards here with driver {driver}."
    ),
    "doctor.torch.card_unsupported_no_build.fix": (
        "Update the driver, choose cards of one generation with CUDA_VISIBLE_DEVICES, or train "
        "on the CPU."
    ),
    "doctor.torch.some_unsupported": (
        "torch {version} has no kernels for {cards} (it has {archs}); the other cards work."
    ),
    "doctor.torch.some_unsupported.fix": (
        "Leave them out with overnight run --env CUDA_VISIBLE_DEVICES=…, or look for a build "
        "with kernels for all. {line}"
    ),
    "doctor.torch.hidden": "CUDA_VISIBLE_DEVICES hides every card from torch {version}.",
    "doctor.torch.hidden.fix": "unset CUDA_VISIBLE_DEVICES",
    "doctor.torch.full": "torch {version} fits, but {cards} has no memory left for a test.",
    "doctor.torch.full.fix": "nvidia-smi shows who holds it.",
    "doctor.torch.fails": "torch {version} fails on {cards}: {message}",
    "doctor.torch.fails.fix": (
        "Is the card set to exclusive mode and taken (nvidia-smi)? Else reinstall: {line}"
    ),
    "doctor.torch.not_available": (
        "torch {version} (CUDA {cuda}) fits driver and card, yet finds no card."
    ),
    "doctor.torch.not_available.fix": (
        "Often a driver updated without a reboot, a container without --gpus all, or a wrong "
        "LD_LIBRARY_PATH. Try: {program} -c 'import torch; torch.cuda.init()'"
    ),
    "doctor.torch.unknown": (
        "torch {version} (CUDA {cuda}); whether it fits could not be found out, since the card's "
        "generation is not known."
    ),
    "doctor.torch.unknown.fix": "Try: {program} -c 'import torch; print(torch.ones(1).cuda())'",
    "doctor.torch.import_failed": "torch in {python} cannot be imported: {message}",
    "doctor.torch.import_failed.fix": (
        "Install it anew: uv pip install --python {program} --reinstall torch --torch-backend=auto"
    ),
    "doctor.torch.import_hung": "torch in {python} was still being imported after two minutes.",
    "doctor.torch.import_hung.fix": (
        "An environment on a network disk can be that slow; put it on a local one."
    ),
    "doctor.torch.cuda_hung": "torch {version} hangs when it asks for the card.",
    "doctor.torch.cuda_hung.fix": (
        "The driver or a card hangs: sudo dmesg | grep -i xid shows which; a reboot usually helps."
    ),
    "doctor.torch.cuda_crashed": "torch {version} crashes when it asks for the card: {message}",
    "doctor.torch.cuda_crashed.fix": (
        "Install it anew: uv pip install --python {program} --reinstall torch --torch-backend=auto"
    ),
    # Questions that came to nothing
    "doctor.probe.no_answer": "'{probe}' gave no answer within {limit} s.",
    "doctor.probe.no_answer.fix": (
        "Often a network folder whose server is away: try df and ls on your folders."
    ),
    "doctor.probe.failed": "'{probe}' could not be examined: {reason}",
    "doctor.channels.none": "none: nobody is told how a run ends (overnight notify add phone)",
    "doctor.channels.well": "{names} can be used; overnight notify test sends a line",
    "doctor.channels.unreadable": "{why}",
    "doctor.channels.unreadable.fix": "{fix}",
    "doctor.channels.unusable": "{name}: {why}",
    "doctor.channels.unusable.fix": "{fix}",
    "doctor.channels.login": "{name}: {why}",
    "doctor.channels.login.fix": "{fix}",
    "doctor.channels.trouble": "{name} refused the last message: {why}",
    "doctor.channels.trouble.fix": "{fix}",
    "doctor.channels.waits": "{name}: {why}",
    "doctor.channels.unreachable": "{name} does not answer: {why}",
    "doctor.trackers.none": "nothing waits to be taken to one",
    "doctor.trackers.under_way": "records of {number} runs are on their way",
    "doctor.trackers.waits": "{run}: {why} (records to come: {left})",
    "doctor.trackers.refused": "{run}: {why} (records to come: {left})",
    "doctor.trackers.refused.fix": "{fix}",
}

KO = {
    "doctor.help": (
        "이 컴퓨터에 학습 작업을 맡기고 자리를 비워도 되는지 알려 줍니다.\n\n"
        "디스크, 메모리, 제한 값, 공유 메모리, 로그아웃 규칙, 컨테이너, 네트워크 폴더를 살피고, "
        "torch가 드라이버와 그래픽 카드에 맞는지 비교합니다. 아무것도 바꾸지 않습니다. 반드시 "
        "실패할 것이 있으면 종료 코드는 1입니다.\n\n"
        "예: overnight doctor --python ~/envs/train/bin/python"
    ),
    "doctor.help.python": "작업을 실행할 파이썬입니다. 기본값은 활성화된 환경의 파이썬입니다.",
    "doctor.help.root": "실행 기록을 둘 폴더입니다. 기본값은 프로젝트 폴더입니다.",
    "doctor.help.json": "결과를 JSON으로 출력합니다.",
    "doctor.examining": (
        "컴퓨터를 살펴보는 중입니다 (torch를 불러오는 데 30초쯤 걸릴 수 있습니다) …"
    ),
    "doctor.summary.ok": "{mark} 문제가 없습니다 ({num}건 확인).",
    "doctor.summary.warn": "반드시 실패할 것은 없습니다. 자리를 비우기 전에 {mark} 표시를 확인해 주십시오 ({num}건).",
    "doctor.summary.bad": "{mark} 표시를 먼저 해결해야 합니다 ({num}건).",
    "doctor.summary.unknown": "{mark} 표시는 알아내지 못했습니다 ({num}건).",
    "doctor.name.python": "파이썬",
    "doctor.name.disk": "디스크",
    "doctor.name.filesystem": "파일 시스템",
    "doctor.name.memory": "메모리",
    "doctor.name.limits": "제한 값",
    "doctor.name.shm": "공유 메모리",
    "doctor.name.logind": "로그아웃",
    "doctor.name.container": "실행 환경",
    "doctor.name.updates": "재부팅",
    "doctor.name.clock": "시계",
    "doctor.name.locale": "로캘",
    "doctor.name.git": "git",
    "doctor.name.gpu": "GPU",
    "doctor.name.torch": "torch",
    "doctor.name.channels": "알림 채널",
    "doctor.name.trackers": "트래커",
    "doctor.name.probe": "응답 없음",
    "doctor.python.option": "작업은 파이썬 {version}에서 실행됩니다: {path} (--python으로 지정).",
    "doctor.python.venv": "작업은 파이썬 {version}에서 실행됩니다: {path} (활성화된 가상 환경).",
    "doctor.python.conda": "작업은 파이썬 {version}에서 실행됩니다: {path} (활성화된 conda 환경).",
    "doctor.python.own": (
        "작업은 파이썬 {version}에서 실행됩니다: {path} (Overnight와 같은 파이썬이며, 활성화된 "
        "환경이 없습니다)."
    ),
    "doctor.python.old": (
        "작업용 파이썬의 버전이 {version}입니다: {path}. 작업은 실행되지만 overnight.log를 "
        "쓰려면 3.9가 필요합니다."
    ),
    "doctor.python.old.fix": "새 환경을 만들어 주십시오: uv venv --python 3.12",
    "doctor.python.broken": "작업용 파이썬이 시작되지 않습니다: {path} {message}",
    "doctor.python.broken.fix": (
        "작동하는 환경을 활성화하거나 직접 지정해 주십시오: --python /path/to/python"
    ),
    "doctor.disk.enough": "여유 공간 {free}: {path}",
    "doctor.disk.low": "여유 공간이 {free}뿐입니다: {path}",
    "doctor.disk.low.fix": (
        "공간을 비우거나 다른 디스크를 쓰십시오: overnight run --root 폴더. 디스크가 가득 차면 "
        "대부분의 학습은 다음 체크포인트에서 끝납니다."
    ),
    "doctor.disk.few_inodes": (
        "여유 공간과 관계없이 파일을 {inodes}개까지만 더 만들 수 있습니다: {path}"
    ),
    "doctor.disk.few_inodes.fix": (
        "작은 파일이 많은 폴더(오래된 환경, 캐시, 압축을 푼 데이터)를 지워 주십시오."
    ),
    "doctor.disk.not_writable": "쓰기 권한이 없는 폴더입니다: {path}",
    "doctor.disk.not_writable.fix": "쓸 수 있는 폴더를 지정해 주십시오: overnight run --root 폴더",
    "doctor.disk.unreadable": "폴더를 열 수 없습니다: {path} ({reason})",
    "doctor.disk.unreadable.fix": "폴더를 만들거나 다른 폴더를 지정해 주십시오: --root 폴더",
    "doctor.filesystem.local": "로컬 디스크입니다: {path} ({type})",
    "doctor.filesystem.container": "컨테이너 안의 저장 공간입니다: {path} ({type})",
    "doctor.filesystem.network": (
        "네트워크 디스크입니다: {path} ({type}). 서버와 연결이 끊긴 동안에는 그곳에 쓰는 작업이 "
        "멈춥니다."
    ),
    "doctor.filesystem.network.fix": (
        "실행 기록과 데이터는 로컬 디스크에 두고(--root /scratch/…) 필요한 것만 나중에 복사해 "
        "주십시오."
    ),
    "doctor.filesystem.object_store": (
        "오브젝트 스토리지나 클라우드 드라이브를 폴더로 연결한 것입니다: {path} ({type}). 이어 "
        "쓰기가 느리거나 파일을 닫을 때까지 저장되지 않아, 비정상 종료 때 기록을 잃을 수 "
        "있습니다."
    ),
    "doctor.filesystem.object_store.fix": (
        "실행 기록은 로컬 디스크에 두고(--root 폴더) 완성된 체크포인트만 복사해 주십시오."
    ),
    "doctor.filesystem.memory": (
        "메모리 위의 폴더입니다: {path} ({type}). 재부팅하면 비워지고, 담긴 만큼 메모리를 "
        "차지합니다."
    ),
    "doctor.filesystem.memory.fix": "실행 기록을 디스크에 두십시오: --root 폴더",
    "doctor.filesystem.windows": (
        "호스트의 폴더를 가상 머신에 연결한 것입니다: {path} ({type}). 작은 파일이 많으면 느립니다."
    ),
    "doctor.filesystem.windows.fix": "프로젝트와 데이터를 리눅스 쪽 홈 폴더 아래에 두십시오.",
    "doctor.filesystem.unknown": "어떤 디스크인지 알아내지 못했습니다: {path}",
    "doctor.memory.enough": "전체 {total} 중 {available} 사용 가능합니다.",
    "doctor.memory.limit": (
        "전체 {total} 중 {available} 사용 가능합니다. 다만 이 세션의 한도는 {limit}입니다 (cgroup)."
    ),
    "doctor.memory.low": "전체 {total} 중 {available}만 사용 가능합니다.",
    "doctor.memory.low.fix": (
        "무엇이 쓰고 있는지 확인해 주십시오 (overnight top, htop). 메모리가 바닥나면 커널이 가장 "
        "큰 작업을 종료합니다."
    ),
    "doctor.memory.low_limit": (
        "전체 {total} 중 {available} 사용 가능하며, 이 세션의 한도는 {limit}입니다 (cgroup)."
    ),
    "doctor.memory.low_limit.fix": (
        "한도를 올리거나(docker run --memory, sbatch --mem) 배치 크기와 DataLoader 워커 수를 "
        "줄여 주십시오."
    ),
    "doctor.memory.unknown": "메모리 크기를 알아내지 못했습니다.",
    "doctor.limits.enough": "열 수 있는 파일 {nofile}, 프로세스 {nproc}.",
    "doctor.limits.nofile": (
        "동시에 열 수 있는 파일이 {soft}개뿐입니다. DataLoader 워커가 모두 써 버릴 수 있습니다."
    ),
    "doctor.limits.nofile.fix": "ulimit -n {reachable}   (작업을 시작하는 셸 또는 ~/.bashrc에서)",
    "doctor.limits.nofile_hard": (
        "동시에 열 수 있는 파일이 {soft}개뿐이고 셸에서 올릴 수 없습니다. DataLoader 워커가 모두 "
        "써 버릴 수 있습니다."
    ),
    "doctor.limits.nofile_hard.fix": (
        "관리자에게 /etc/security/limits.conf의 nofile 값을 올려 달라고 하거나 워커 수를 줄여 "
        "주십시오."
    ),
    "doctor.limits.nproc": (
        "프로세스와 스레드를 합해 {num}개까지만 허용됩니다. 스레드가 많은 워커들이 이 값에 이를 "
        "수 있습니다."
    ),
    "doctor.limits.nproc.fix": (
        "값을 올리거나(ulimit -u, docker run --pids-limit) OMP_NUM_THREADS=1을 설정하고 워커 "
        "수를 줄여 주십시오."
    ),
    "doctor.limits.core": (
        "비정상 종료 때 작업의 메모리 전체가 옆에 파일로 저장되어(코어 덤프) 디스크가 가득 찰 수 "
        "있습니다."
    ),
    "doctor.limits.core.fix": "ulimit -c 0   (작업을 시작하는 셸에서)",
    "doctor.limits.as": (
        "주소 공간이 {amount}까지로 제한되어 있습니다. CUDA는 실제 사용량보다 훨씬 많이 "
        "예약하므로 실패합니다."
    ),
    "doctor.limits.as.fix": "ulimit -v unlimited",
    "doctor.limits.fsize": (
        "파일 크기가 {amount}까지로 제한되어 있습니다. 체크포인트나 로그가 더 커지면 작업이 "
        "끝납니다."
    ),
    "doctor.limits.fsize.fix": "ulimit -f unlimited",
    "doctor.limits.cpu": (
        "CPU 시간을 {amount}만큼 쓰면 프로세스가 종료됩니다. 로그인 노드에 흔한 설정입니다."
    ),
    "doctor.limits.cpu.fix": (
        "계산 노드에서 실행하거나(sbatch, srun) 제한을 풀어 달라고 요청해 주십시오: ulimit -t "
        "unlimited"
    ),
    "doctor.limits.unknown": "이 시스템에서는 제한 값을 알 수 없습니다.",
    "doctor.shm.enough": "{path} 크기 {total}.",
    "doctor.shm.small": (
        "{path} 크기가 {total}뿐입니다. DataLoader 워커는 이곳으로 배치를 주고받으며, 가득 차면 "
        "bus error로 죽습니다."
    ),
    "doctor.shm.small.fix": (
        "컨테이너를 --shm-size=8g 또는 --ipc=host로 시작하거나 num_workers=0으로 설정해 주십시오."
    ),
    "doctor.shm.full": (
        "{path} 전체 {total} 중 {free}만 비어 있습니다. 가득 차면 DataLoader 워커가 bus error로 "
        "죽습니다."
    ),
    "doctor.shm.full.fix": (
        "ls -l {path} 명령으로 죽은 프로그램이 남긴 파일을 찾아 본인의 것을 지워 주십시오."
    ),
    "doctor.shm.absent": "다음 폴더가 없습니다: {path}",
    "doctor.logind.none": "systemd가 없습니다. 로그아웃해도 Overnight가 시작한 작업은 계속됩니다.",
    "doctor.logind.spares": (
        "로그아웃해도 Overnight가 시작한 작업은 계속됩니다 (KillUserProcesses=no)."
    ),
    "doctor.logind.kills": (
        "로그아웃하면 시작한 모든 작업이, 분리되어 있더라도 종료됩니다 (KillUserProcesses=yes)."
    ),
    "doctor.logind.kills.fix": (
        "loginctl enable-linger 실행 후 작업을 이렇게 시작해 주십시오: systemd-run --user "
        "--scope overnight run …"
    ),
    "doctor.logind.kills_others": (
        "로그인 세션에서 시작한 작업은 로그아웃하면 종료됩니다 (KillUserProcesses=yes). 지금 이 "
        "셸은 해당하지 않지만 다음 로그인부터는 해당합니다."
    ),
    "doctor.logind.kills_others.fix": (
        "loginctl enable-linger 실행 후 작업을 이렇게 시작해 주십시오: systemd-run --user "
        "--scope overnight run …"
    ),
    "doctor.logind.removes_ipc": (
        "마지막 로그아웃 때 사용자의 공유 메모리가 지워집니다 (RemoveIPC=yes). 프로세스 사이에 "
        "배열을 공유하는 작업은 그때 실패합니다."
    ),
    "doctor.logind.removes_ipc.fix": "loginctl enable-linger",
    "doctor.logind.unknown": (
        "로그아웃할 때 무엇이 종료되는지 알아내지 못했습니다. logind가 응답하지 않았습니다."
    ),
    "doctor.logind.unknown.fix": (
        "짧은 작업으로 시험해 주십시오: 로그아웃 후 다시 로그인하여 overnight status"
    ),
    "doctor.container.none": (
        "컨테이너나 배치 작업 안이 아닙니다. 컴퓨터가 켜져 있는 동안 작업이 계속됩니다."
    ),
    "doctor.container.container": (
        "컨테이너 안입니다 ({kind}). 컨테이너가 끝나면 모든 작업도 끝납니다."
    ),
    "doctor.container.container.fix": (
        "컨테이너를 계속 켜 두고(분리 실행, --rm 없이) 프로젝트는 연결된 볼륨에 두십시오."
    ),
    "doctor.container.no_init": (
        "컨테이너의 첫 프로세스가 끝난 프로세스를 정리하지 않습니다: {first}"
    ),
    "doctor.container.no_init.fix": "컨테이너를 이렇게 시작해 주십시오: docker run --init …",
    "doctor.container.apptainer": (
        "일반 프로세스로 실행되는 컨테이너입니다 ({kind}). 작업이 컨테이너와 함께 끝나지는 "
        "않습니다."
    ),
    "doctor.container.colab": (
        "Colab입니다. 모든 작업은 세션과 함께 끝납니다. 탭을 닫고 90분쯤 뒤, 무료 요금제에서는 "
        "늦어도 12시간 뒤입니다."
    ),
    "doctor.container.colab.fix": (
        "체크포인트를 드라이브에 저장하고 거기서 이어 가십시오. 폴더는 "
        "overnight.checkpoint_dir()가 알려 줍니다."
    ),
    "doctor.container.kaggle": (
        "Kaggle입니다. 대화형 세션은 탭을 닫으면 곧 끝나고, 열어 두어도 12시간 뒤에는 끝납니다."
    ),
    "doctor.container.kaggle.fix": (
        "밤새 돌리려면 Save Version > Save & Run All을 쓰고 /kaggle/working에 저장해 주십시오."
    ),
    "doctor.container.codespaces": (
        "Codespaces입니다. 30분 동안 아무도 쓰지 않으면 멈추고 작업도 함께 끝납니다."
    ),
    "doctor.container.codespaces.fix": (
        "GitHub 계정 설정에서 유휴 시간 제한을 늘려 주십시오 (최대 240분)."
    ),
    "doctor.container.jupyterhub": (
        "JupyterHub 서버입니다. 아무도 보지 않는 서버를 작업과 함께 종료하는 곳이 많습니다."
    ),
    "doctor.container.jupyterhub.fix": (
        "허브 관리자에게 유휴 서버 정리 규칙(culling)을 물어 보십시오."
    ),
    "doctor.container.wsl": (
        "WSL입니다. 마지막 창을 닫고 얼마 뒤에, 그리고 윈도우가 절전에 들어가거나 업데이트될 때 "
        "종료됩니다."
    ),
    "doctor.container.wsl.fix": (
        "WSL 창 하나를 열어 두고 .wslconfig에 vmIdleTimeout=-1을 넣은 뒤, 절전과 자동 재시작을 "
        "꺼 주십시오."
    ),
    "doctor.container.batch": "{batch} 작업 안입니다. 시간 제한이 되면 모든 작업이 끝납니다.",
    "doctor.container.batch.fix": (
        "시간을 넉넉히 요청하고, 다음 작업에서 이어 가십시오: overnight resume"
    ),
    "doctor.updates.manual": "업데이트 뒤에 스스로 재부팅하지 않는 컴퓨터입니다.",
    "doctor.updates.reboots": (
        "업데이트에 필요하면 컴퓨터가 스스로 재부팅합니다 (Unattended-Upgrade::Automatic-Reboot)."
    ),
    "doctor.updates.reboots.fix": (
        "작업 중에는 꺼 달라고 관리자에게 요청해 주십시오. 재부팅된 뒤에는: overnight resume"
    ),
    "doctor.updates.reboots_tonight": (
        "재부팅을 기다리는 업데이트가 있고, 컴퓨터가 스스로(대개 밤에) 재부팅합니다."
    ),
    "doctor.updates.reboots_tonight.fix": (
        "작업을 시작하기 전에 지금 재부팅해 주십시오: sudo reboot"
    ),
    "doctor.clock.synchronised": "{now} {zone}, 자동으로 맞춰집니다.",
    "doctor.clock.unsynchronised": "{now} {zone}. 다만 시계를 자동으로 맞추고 있지 않습니다.",
    "doctor.clock.unsynchronised.fix": "sudo timedatectl set-ntp true",
    "doctor.clock.unchecked": "{now} {zone}. 시계가 자동으로 맞춰지는지는 알아내지 못했습니다.",
    "doctor.clock.behind": (
        "시계가 {now} {zone}입니다. Overnight를 설치한 때보다 앞섭니다. https 다운로드와 "
        "표시되는 시각이 잘못됩니다."
    ),
    "doctor.clock.behind.fix": "sudo timedatectl set-ntp true",
    "doctor.locale.utf8": "터미널 문자 인코딩은 {codeset}입니다.",
    "doctor.locale.not_utf8": (
        "터미널 문자 인코딩이 {codeset}입니다. 한글 이름과 메시지가 깨져 보입니다."
    ),
    "doctor.locale.not_utf8.fix": "export LANG=C.UTF-8",
    "doctor.git.repository": "git {version}. 실행할 때마다 커밋이 기록됩니다: {path}",
    "doctor.git.no_repository": (
        "git {version}. 저장소가 아니어서 커밋은 기록되지 않습니다 (코드 자체는 보관됩니다): {path}"
    ),
    "doctor.git.missing": "git이 설치되어 있지 않아 어느 커밋을 실행했는지 기록할 수 없습니다.",
    "doctor.git.missing.fix": "sudo apt install git   (또는 conda install git)",
    "doctor.git.ownership": "git {version}. 다른 사용자의 폴더라서 git이 읽지 않습니다: {path}",
    "doctor.git.ownership.fix": "git config --global --add safe.directory {path}",
    "doctor.gpu.ready": "{cards}; 드라이버 {driver}.",
    "doctor.gpu.none": "NVIDIA 그래픽 카드가 없습니다. 학습은 CPU에서 실행됩니다.",
    "doctor.gpu.no_driver": "NVIDIA 그래픽 카드가 있지만 드라이버가 없습니다 (nvidia-smi 없음).",
    "doctor.gpu.no_driver.fix": (
        "우분투: sudo ubuntu-drivers install --gpgpu 실행 후 재부팅. 컨테이너: --gpus all로 시작."
    ),
    "doctor.gpu.hung": (
        "nvidia-smi가 {limit}초 안에 응답하지 않았습니다. 드라이버나 카드가 멈춘 상태입니다."
    ),
    "doctor.gpu.hung.fix": (
        "sudo dmesg | grep -i xid 명령이 어느 카드인지 보여 줍니다. 대개 재부팅하면 해결됩니다."
    ),
    "doctor.gpu.mismatch": (
        "실행 중인 시스템에서 NVIDIA 드라이버가 업데이트되어 커널 모듈과 라이브러리의 버전이 "
        "다릅니다."
    ),
    "doctor.gpu.mismatch.fix": "재부팅해 주십시오.",
    "doctor.gpu.broken": "nvidia-smi가 실패합니다: {message}",
    "doctor.gpu.broken.fix": (
        "재부팅해 보고, 그래도 안 되면 드라이버를 다시 설치해 주십시오. 컨테이너는 --gpus all로 "
        "시작해 주십시오."
    ),
    "doctor.gpu.busy": "{index}번 카드가 사용 중입니다: 전체 {total} 중 {used} 사용.",
    "doctor.gpu.busy.fix": "누가 쓰는지는 nvidia-smi가 보여 줍니다. 카드가 여럿이면 비어 있는 것을 고르십시오: overnight run --env CUDA_VISIBLE_DEVICES=번호 …",
    "doctor.torch.absent": "torch가 설치되어 있지 않습니다: {python}",
    "doctor.torch.absent.fix": "작업에 필요하다면: {line}",
    "doctor.torch.absent_with_card": "torch가 설치되어 있지 않습니다: {python}",
    "doctor.torch.absent_with_card.fix": "작업에 필요하다면: {line}",
    "doctor.torch.absent_no_build": "torch가 설치되어 있지 않으며, 드라이버 {driver} 및 이 카드에 맞는 빌드가 없습니다: {python}",
    "doctor.torch.absent_no_build.fix": "NVIDIA 드라이버를 580 이상으로 업데이트해 주십시오. 2014년 이전의 카드라면 CPU에서 학습해 주십시오.",
    "doctor.torch.jit_no_build": "torch {version}에는 이 카드용으로 완성된 커널이 없습니다: {cards}. 처음 시작할 때 드라이버가 컴파일하며 몇 분 걸립니다.",
    "doctor.torch.jit_no_build.fix": "첫 시작이 끝날 때까지 기다려 주십시오. 다음부터는 ~/.nv/ComputeCache에 저장된 결과를 씁니다.",
    "doctor.torch.some_unsupported_no_build": "torch {version}에는 일부 카드용 커널이 없고(들어 있는 것: {archs}), 모든 카드에 맞는 빌드도 없습니다: {cards}. 다른 카드는 작동합니다.",
    "doctor.torch.some_unsupported_no_build.fix": "그 카드를 빼고 실행해 주십시오: overnight run --env CUDA_VISIBLE_DEVICES=…",
    "doctor.torch.fails_no_build": "torch {version}의 시험 계산이 실패합니다: {cards}: {message}",
    "doctor.torch.fails_no_build.fix": "카드가 독점 모드이고 이미 사용 중인지 확인해 주십시오 (nvidia-smi). 아니라면 재부팅해 주십시오.",
    "doctor.torch.works": "torch {version} (CUDA {cuda})의 시험 계산이 성공했습니다: {cards}",
    "doctor.torch.fits": "torch {version} (CUDA {cuda}) 버전은 드라이버와 카드에 맞습니다: {cards}",
    "doctor.torch.jit": (
        "torch {version}에는 이 카드용으로 완성된 커널이 없습니다: {cards}. 처음 시작할 때 "
        "드라이버가 컴파일하며 몇 분 걸립니다."
    ),
    "doctor.torch.jit.fix": "더 새로운 빌드에는 들어 있을 수 있습니다: {line}",
    "doctor.torch.cpu_only": (
        "torch {version}, CUDA 없는 빌드입니다. 이 컴퓨터에도 NVIDIA 카드가 없습니다."
    ),
    "doctor.torch.no_card": "torch {version} (CUDA {cuda}). 카드가 없어 CPU에서 실행됩니다.",
    "doctor.torch.no_driver": (
        "torch {version}. 드라이버가 응답하지 않아 카드에 맞는지 알 수 없습니다."
    ),
    "doctor.torch.cpu_build": (
        "torch {version}에는 CUDA가 들어 있지 않아 그래픽 카드를 쓰지 못합니다."
    ),
    "doctor.torch.cpu_build.fix": "{line}",
    "doctor.torch.cpu_build_no_build": (
        "torch {version}에는 CUDA가 들어 있지 않으며, 드라이버 {driver} 및 이 카드에 맞는 빌드가 "
        "없습니다."
    ),
    "doctor.torch.cpu_build_no_build.fix": (
        "NVIDIA 드라이버를 580 이상으로 업데이트해 주십시오. 2014년 이전의 카드라면 CPU에서 "
        "학습해 주십시오."
    ),
    "doctor.torch.rocm_build": (
        "설치된 torch {version} 빌드는 AMD 카드용인데 이 컴퓨터에는 NVIDIA 카드가 있습니다."
    ),
    "doctor.torch.rocm_build.fix": "{line}",
    "doctor.torch.rocm_build_no_build": (
        "설치된 torch {version} 빌드는 AMD 카드용이며, 드라이버 {driver} 및 이 카드에 맞는 "
        "빌드가 없습니다."
    ),
    "doctor.torch.rocm_build_no_build.fix": (
        "NVIDIA 드라이버를 580 이상으로 업데이트해 주십시오. 2014년 이전의 카드라면 CPU에서 "
        "학습해 주십시오."
    ),
    "doctor.torch.rocm": (
        "torch {version}, AMD 카드용(ROCm) 빌드이며 시험 계산을 하지 못했습니다. AMD 드라이버는 "
        "살피지 않습니다."
    ),
    "doctor.torch.driver_too_old": (
        "torch {version} (CUDA {cuda}) 버전에는 드라이버 {min_driver} 이상이 필요한데, 설치된 "
        "버전은 {driver}입니다."
    ),
    "doctor.torch.driver_too_old.fix": (
        "드라이버를 업데이트하거나 지금 드라이버에 맞는 빌드를 설치해 주십시오: {line}"
    ),
    "doctor.torch.driver_too_old_no_build": (
        "torch {version} (CUDA {cuda}) 버전에는 드라이버 {min_driver} 이상이 필요한데, 설치된 "
        "버전은 {driver}입니다. 이 드라이버와 카드에 함께 맞는 빌드는 없습니다."
    ),
    "doctor.torch.driver_too_old_no_build.fix": (
        "NVIDIA 드라이버를 580 이상으로 업데이트해 주십시오."
    ),
    "doctor.torch.card_unsupported": (
        "torch {version}에는 이 카드용 커널이 없습니다: {cards} (들어 있는 것: {archs}). CUDA "
        "호출이 모두 실패합니다."
    ),
    "doctor.torch.card_unsupported.fix": "{line}",
    "doctor.torch.card_unsupported_no_build": (
        "torch {version}에는 이 카드용 커널이 없습니다: {cards} (들어 있는 것: {archs}). "
        "드라이버 {driver}에서 모든 카드에 맞는 빌드도 없습니다."
    ),
    "doctor.torch.card_unsupported_no_build.fix": (
        "드라이버를 업데이트하거나, CUDA_VISIBLE_DEVICES로 같은 세대의 카드만 고르거나, CPU에서 "
        "학습해 주십시오."
    ),
    "doctor.torch.some_unsupported": (
        "torch {version}에는 일부 카드용 커널이 없습니다: {cards} (들어 있는 것: {archs}). 다른 "
        "카드는 작동합니다."
    ),
    "doctor.torch.some_unsupported.fix": (
        "overnight run --env CUDA_VISIBLE_DEVICES=… 옵션으로 빼거나 모든 카드에 맞는 빌드를 찾아 "
        "주십시오. {line}"
    ),
    "doctor.torch.hidden": (
        "CUDA_VISIBLE_DEVICES 때문에 torch {version}에 카드가 하나도 보이지 않습니다."
    ),
    "doctor.torch.hidden.fix": "unset CUDA_VISIBLE_DEVICES",
    "doctor.torch.full": (
        "torch {version} 버전은 맞지만 카드에 시험 계산을 할 메모리도 남아 있지 않습니다: {cards}"
    ),
    "doctor.torch.full.fix": "누가 쓰는지는 nvidia-smi가 보여 줍니다.",
    "doctor.torch.fails": "torch {version}의 시험 계산이 실패합니다: {cards}: {message}",
    "doctor.torch.fails.fix": (
        "카드가 독점 모드이고 이미 사용 중인지 확인해 주십시오 (nvidia-smi). 아니라면 다시 "
        "설치해 주십시오: {line}"
    ),
    "doctor.torch.not_available": (
        "torch {version} (CUDA {cuda}) 버전은 드라이버와 카드에 맞지만 카드를 찾지 못합니다."
    ),
    "doctor.torch.not_available.fix": (
        "재부팅 없이 드라이버를 업데이트했거나, 컨테이너를 --gpus all 없이 시작했거나, "
        "LD_LIBRARY_PATH가 잘못된 경우가 많습니다. 확인: {program} -c 'import torch; "
        "torch.cuda.init()'"
    ),
    "doctor.torch.unknown": (
        "torch {version} (CUDA {cuda}). 카드의 세대를 알 수 없어 맞는지 판단하지 못했습니다."
    ),
    "doctor.torch.unknown.fix": "확인: {program} -c 'import torch; print(torch.ones(1).cuda())'",
    "doctor.torch.import_failed": "torch를 불러올 수 없습니다 ({python}): {message}",
    "doctor.torch.import_failed.fix": (
        "다시 설치해 주십시오: uv pip install --python {program} --reinstall torch "
        "--torch-backend=auto"
    ),
    "doctor.torch.import_hung": "2분이 지나도 torch를 다 불러오지 못했습니다: {python}",
    "doctor.torch.import_hung.fix": (
        "네트워크 디스크에 있는 환경은 이만큼 느릴 수 있습니다. 로컬 디스크로 옮겨 주십시오."
    ),
    "doctor.torch.cuda_hung": "torch {version}에서 카드를 확인하는 중에 멈춥니다.",
    "doctor.torch.cuda_hung.fix": (
        "드라이버나 카드가 멈춘 상태입니다. sudo dmesg | grep -i xid 명령이 어느 카드인지 보여 "
        "줍니다. 대개 재부팅하면 해결됩니다."
    ),
    "doctor.torch.cuda_crashed": (
        "torch {version}에서 카드를 확인하는 중에 비정상 종료됩니다: {message}"
    ),
    "doctor.torch.cuda_crashed.fix": (
        "다시 설치해 주십시오: uv pip install --python {program} --reinstall torch "
        "--torch-backend=auto"
    ),
    "doctor.probe.no_answer": "'{probe}' 항목이 {limit}초 안에 응답하지 않았습니다.",
    "doctor.probe.no_answer.fix": (
        "서버와 연결이 끊긴 네트워크 폴더가 원인인 경우가 많습니다. 폴더에서 df와 ls를 실행해 "
        "보십시오."
    ),
    "doctor.probe.failed": "'{probe}' 항목을 살피지 못했습니다: {reason}",
    "doctor.channels.none": "없음: 실행이 끝나도 아무에게도 알리지 않습니다(overnight notify add phone)",
    "doctor.channels.well": "{names} 사용할 수 있습니다. overnight notify test 명령이 한 줄을 보냅니다",
    "doctor.channels.unreadable": "{why}",
    "doctor.channels.unreadable.fix": "{fix}",
    "doctor.channels.unusable": "{name}: {why}",
    "doctor.channels.unusable.fix": "{fix}",
    "doctor.channels.login": "{name}: {why}",
    "doctor.channels.login.fix": "{fix}",
    "doctor.channels.trouble": "{name} 채널이 마지막 메시지를 거부했습니다: {why}",
    "doctor.channels.trouble.fix": "{fix}",
    "doctor.channels.waits": "{name}: {why}",
    "doctor.channels.unreachable": "{name} 채널이 응답하지 않습니다: {why}",
    "doctor.trackers.none": "보내기를 기다리는 기록이 없습니다",
    "doctor.trackers.under_way": "실행 {number}개의 기록을 보내고 있습니다",
    "doctor.trackers.waits": "{run}: {why} (남은 기록 {left}개)",
    "doctor.trackers.refused": "{run}: {why} (남은 기록 {left}개)",
    "doctor.trackers.refused.fix": "{fix}",
}
