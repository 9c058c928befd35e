"""Notebooks: reading them, converting them, and what to know before the night."""

EN = {
    # -- the file
    "notebook.unreadable": "The notebook cannot be read: {reason}.",
    "notebook.unreadable.fix": "check the path and the permissions",
    "notebook.empty": "The notebook is an empty file.",
    "notebook.empty.fix": "save it again in the editor it is open in",
    "notebook.not_json": "The notebook is not valid JSON (line {line}).",
    "notebook.not_json.fix": "the file is damaged or cut off, or holds merge marks; save it again",
    "notebook.not_a_notebook": "The file holds JSON, but no notebook cells.",
    "notebook.not_a_notebook.fix": "give an .ipynb file as Jupyter, Colab or Kaggle save it",
    "notebook.other_language": "The notebook's kernel is not Python: {language}.",
    "notebook.other_language.fix": "only Python notebooks can be converted; run others with "
    "`overnight run -- COMMAND`",
    "notebook.too_deep": "The notebook's code is nested too deeply to be read.",
    "notebook.too_deep.fix": "move the long expression into a file of data and read it from there",
    "notebook.no_script": "The cells cannot stand together in one script (line {line} of it).",
    "notebook.no_script.fix": "convert with fewer cells to find the one; a `global` or `nonlocal` "
    "at the top level is the usual cause",
    # -- parameters
    "notebook.bad_overrides": "{count} of the --set values cannot be applied:\n{mistakes}",
    "notebook.bad_overrides.fix": "--set NAME=VALUE changes a value the notebook assigns literally "
    "at its top level; CFG.lr reaches into a class or a dict",
    "notebook.override_unknown": "the notebook assigns no such name; it assigns {known}",
    "notebook.override_close": "the notebook assigns no such name; did you mean {close}?",
    "notebook.override_none": "the notebook assigns no literal values at its top level",
    "notebook.override_not_literal": "its value is computed (cell {cell}, line {line}); set what "
    "it "
    "is computed from",
    "notebook.override_twice": "it is assigned different values (cell:line {places}); keep one of "
    "them in the notebook",
    "notebook.override_type": "{new} is no number, and the notebook has {old}",
    # -- findings
    "notebook.no_code": "The notebook has no code cells.",
    "notebook.no_code.fix": "check that this is the right file",
    "notebook.magic_unknown": "{magic} has no meaning outside the notebook; it became a comment.",
    "notebook.magic_unknown.fix": "make sure that nothing below needs it",
    "notebook.cell_dropped": "{magic} only shows something in the page; it became a comment.",
    "notebook.cell_dropped.fix": "",
    "notebook.cell_skipped": "The cell is tagged as not to be run; it became a comment.",
    "notebook.cell_skipped.fix": "",
    "notebook.cell_not_python": "The cell is not valid Python; it became a comment.",
    "notebook.cell_not_python.fix": "correct the cell, or make it a text cell",
    "notebook.async_statement": "`async for` and `async with` outside a function cannot be "
    "converted; the cell became a comment.",
    "notebook.async_statement.fix": "put them into an `async def` and `await` it in the cell",
    "notebook.run_missing": "%run names a notebook that cannot be read: {file}.",
    "notebook.run_missing.fix": "put it beside this notebook",
    "notebook.cd_in_shell": "`!{command}` changes the folder for that one line only, as in the "
    "notebook.",
    "notebook.cd_in_shell.fix": "use %cd to change it for what follows",
    "notebook.dotenv": "%dotenv is not run: Overnight reads .env of the project's root itself.",
    "notebook.dotenv.fix": "",
    "notebook.env_missing": "The environment variable {name} is needed and not set: nobody can log "
    "in at night.",
    "notebook.env_missing.fix": "export {name}=… first (or put it into the project's .env)",
    "notebook.asks_person": "{what} waits for a person, and nobody will be there.",
    "notebook.asks_person.fix": "write the answer into the notebook, or read it from os.environ",
    "notebook.drive_mount": "drive.mount() does nothing here.",
    "notebook.drive_mount.fix": "--map /content/drive/MyDrive=FOLDER says where the files lie",
    "notebook.download_dropped": "files.download() does nothing here; the file stays where it is.",
    "notebook.download_dropped.fix": "",
    "notebook.google_auth": "Google's login of the page is skipped.",
    "notebook.google_auth.fix": "set GOOGLE_APPLICATION_CREDENTIALS if the code reads from Google",
    "notebook.spawned_workers": "num_workers > 0 with classes defined in the notebook fails on "
    "this "
    "system, as it does in the notebook.",
    "notebook.spawned_workers.fix": "set num_workers to 0, or move the dataset class into a module",
    "notebook.platform_path": "{folder} does not exist on this machine.",
    "notebook.platform_path.fix": "say where it lies here: {option}",
    "notebook.map_target_missing": "{folder}, named by --map, does not exist.",
    "notebook.map_target_missing.fix": "make the folder, or correct the path",
    "notebook.map_unused": "--map {folder}: the notebook never names this folder.",
    "notebook.map_unused.fix": "check its spelling",
    "notebook.input_missing": "{path} is read and does not exist.",
    "notebook.input_missing.fix": "put the data there, or point --map elsewhere",
    "notebook.secret_literal": "The line holds what looks like a secret.",
    "notebook.secret_literal.fix": "read it from os.environ: notebooks are shared, scripts kept",
    "notebook.secret_replaced": "A secret of the environment stands here in plain text; the script "
    "reads the variable instead.",
    "notebook.secret_replaced.fix": "do the same in the notebook",
    "notebook.out_of_order": "Cell {cell} was last run before cell {before}, which stands above "
    "it; "
    "the script runs top to bottom.",
    "notebook.out_of_order.fix": 'run the notebook once with "Restart and run all"',
    "notebook.name_undefined": "{name} is used, but no cell defines it: a deleted cell may have.",
    "notebook.name_undefined.fix": "define it in the notebook",
    "notebook.name_close": "{name} is used, but no cell defines it (there is {close}).",
    "notebook.name_close.fix": "correct the name, or define it",
    "notebook.name_later": "{name} is used before it is defined in cell {later}.",
    "notebook.name_later.fix": "move the definition up",
    "notebook.name_later_line": "{name} is used before it is defined further down in the same "
    "cell.",
    "notebook.name_later_line.fix": "move the definition up",
    "notebook.name_history": "{name} is the notebook's memory of earlier outputs; a script has "
    "none.",
    "notebook.name_history.fix": "give the value a name",
    # -- installs
    "notebook.python_silent": "{python} does not answer: what is installed there is not known.",
    "notebook.python_silent.fix": "check --python",
    "notebook.install_missing": "{requirement} is not installed in {python}.",
    "notebook.install_missing.fix": "{python} -m pip install '{requirement}'",
    "notebook.install_differs": "The notebook asks for {requirement}; {version} is installed.",
    "notebook.install_differs.fix": "{python} -m pip install '{requirement}', if it fails with "
    "this one",
    "notebook.install_unknown": "{requirement}: whether it is installed cannot be told.",
    "notebook.install_unknown.fix": "install it once by hand if it is not",
    "notebook.install_system": "{requirement} is a package of the system and was not installed.",
    "notebook.install_system.fix": "install it once by hand if it is not there",
    "notebook.import_missing": "The module {module} is not there in {python}.",
    "notebook.import_missing.fix": "{python} -m pip install {module} (the package may have "
    "another name)",
    # -- overnight convert
    "notebook.help": "Turn a notebook into a script that runs alone.\n\n"
    "Nothing is run. Install lines are listed, shell lines and magics become Python, pictures "
    "become files, logins become environment variables; what would fail at night is told now. "
    "Exits with 2 if something blocks a run (the script is written all the same).\n\n"
    "Example: overnight convert baseline.ipynb --set EPOCHS=1 --map /kaggle/input=./data",
    "notebook.help.notebook": "The .ipynb file.",
    "notebook.help.output": "The script to write. Default: beside the notebook, with its name.",
    "notebook.help.set": "Change a parameter where the notebook assigns it. May be repeated.",
    "notebook.help.map": "Where a folder of Colab or Kaggle lies here. May be repeated.",
    "notebook.help.python": "The Python the job will run in. Default: the active environment's.",
    "notebook.help.force": "Overwrite a file that is not a converted notebook.",
    "notebook.help.json": "Print the result as JSON.",
    "notebook.exists": "The file exists and is not a converted notebook: {file}",
    "notebook.exists.fix": "give another name with -o, or --force to overwrite it",
    "notebook.same_file": "The script would overwrite the notebook: {file}",
    "notebook.same_file.fix": "give another name with -o",
    "notebook.not_written": "The script cannot be written: {reason}.",
    "notebook.not_written.fix": "check the folder, its permissions and the disk",
    "notebook.pair": "{option} takes NAME=VALUE: {given}",
    "notebook.pair.fix": "for example {example}",
    "notebook.done": "{script}: {count} code cells.",
    "notebook.installs": "Installs, not run: {list}",
    "notebook.mapped": "{folder} is {target}",
    "notebook.parameters": "Parameters:",
    "notebook.place": "cell {cell}, line {line}",
    "notebook.place_cell": "cell {cell}",
    "notebook.place_whole": "notebook",
    "notebook.level.blocks": "blocks",
    "notebook.level.warns": "warns",
    "notebook.level.notes": "notes",
    "notebook.blocked": "{count} of these would stop it at night: `overnight run` refuses it until "
    "they are put right.",
    "notebook.next": "Run it: {command}",
}

KO = {
    "notebook.unreadable": "노트북을 읽을 수 없습니다: {reason}.",
    "notebook.unreadable.fix": "경로와 권한을 확인하십시오",
    "notebook.empty": "노트북 파일이 비어 있습니다.",
    "notebook.empty.fix": "편집기에서 다시 저장하십시오",
    "notebook.not_json": "노트북이 올바른 JSON이 아닙니다 ({line}번째 줄).",
    "notebook.not_json.fix": "파일이 손상되었거나 잘렸거나 병합 표시가 남아 있습니다. 다시 "
    "저장하십시오",
    "notebook.not_a_notebook": "JSON 파일이지만 노트북 셀이 없습니다.",
    "notebook.not_a_notebook.fix": "Jupyter, Colab, Kaggle에서 저장한 .ipynb 파일을 지정하십시오",
    "notebook.other_language": "노트북의 커널이 파이썬이 아닙니다: {language}.",
    "notebook.other_language.fix": "파이썬 노트북만 변환할 수 있습니다. 다른 언어는 "
    "`overnight run -- 명령` 으로 실행하십시오",
    "notebook.too_deep": "노트북 코드의 중첩이 너무 깊어 읽을 수 없습니다.",
    "notebook.too_deep.fix": "긴 식을 데이터 파일로 옮기고 그 파일을 읽으십시오",
    "notebook.no_script": "셀들을 한 스크립트로 합칠 수 없습니다 (스크립트 {line}번째 줄).",
    "notebook.no_script.fix": "셀을 줄여 가며 원인을 찾으십시오. 대개 최상위의 `global` 또는 "
    "`nonlocal` 때문입니다",
    "notebook.bad_overrides": "--set 값 중 {count}개를 적용할 수 없습니다:\n{mistakes}",
    "notebook.bad_overrides.fix": "--set 이름=값 은 노트북 최상위에서 직접 적은 값을 바꿉니다. "
    "CFG.lr 처럼 클래스나 dict 안의 값도 바꿀 수 있습니다",
    "notebook.override_unknown": "노트북에 없는 이름입니다. 바꿀 수 있는 이름: {known}",
    "notebook.override_close": "노트북에 없는 이름입니다. 혹시 이것입니까? {close}",
    "notebook.override_none": "노트북 최상위에 직접 적은 값이 없습니다",
    "notebook.override_not_literal": "계산된 값입니다 (셀 {cell}, {line}번째 줄). 계산의 바탕이 "
    "되는 "
    "값을 바꾸십시오",
    "notebook.override_twice": "서로 다른 값이 여러 번 대입됩니다 (셀:줄 {places}). 노트북에 "
    "하나만 "
    "남기십시오",
    "notebook.override_type": "숫자가 아닙니다: {new} (노트북의 값: {old})",
    "notebook.no_code": "노트북에 코드 셀이 없습니다.",
    "notebook.no_code.fix": "파일이 맞는지 확인하십시오",
    "notebook.magic_unknown": "노트북 밖에서는 쓸 수 없는 매직이라 주석으로 바꾸었습니다: {magic}",
    "notebook.magic_unknown.fix": "아래 코드에서 필요하지 않은지 확인하십시오",
    "notebook.cell_dropped": "화면에만 쓰이는 셀이라 주석으로 바꾸었습니다: {magic}",
    "notebook.cell_dropped.fix": "",
    "notebook.cell_skipped": "실행하지 않도록 표시된 셀이라 주석으로 바꾸었습니다.",
    "notebook.cell_skipped.fix": "",
    "notebook.cell_not_python": "올바른 파이썬 코드가 아닌 셀이라 주석으로 바꾸었습니다.",
    "notebook.cell_not_python.fix": "셀을 고치거나 텍스트 셀로 바꾸십시오",
    "notebook.async_statement": "함수 밖의 `async for`, `async with` 는 변환할 수 없어 셀을 "
    "주석으로 "
    "바꾸었습니다.",
    "notebook.async_statement.fix": "`async def` 안에 넣고 셀에서 `await` 하십시오",
    "notebook.run_missing": "%run 으로 부르는 노트북을 읽을 수 없습니다: {file}",
    "notebook.run_missing.fix": "이 노트북과 같은 폴더에 두십시오",
    "notebook.cd_in_shell": "`!{command}` 의 폴더 이동은 노트북에서처럼 그 줄에서만 유효합니다.",
    "notebook.cd_in_shell.fix": "이후에도 유지하려면 %cd 를 쓰십시오",
    "notebook.dotenv": "%dotenv 는 실행하지 않습니다. 프로젝트 루트의 .env 는 Overnight가 직접 "
    "읽습니다.",
    "notebook.dotenv.fix": "",
    "notebook.env_missing": "필요한 환경 변수가 없습니다: {name}. 밤에는 로그인할 사람이 없습니다.",
    "notebook.env_missing.fix": "먼저 export {name}=… 을 실행하거나 프로젝트의 .env 에 적으십시오",
    "notebook.asks_person": "사람의 입력을 기다리는 코드입니다: {what}",
    "notebook.asks_person.fix": "답을 노트북에 직접 적거나 os.environ 에서 읽으십시오",
    "notebook.drive_mount": "drive.mount() 는 여기서 아무 일도 하지 않습니다.",
    "notebook.drive_mount.fix": "파일이 있는 곳을 --map /content/drive/MyDrive=폴더 로 알려 "
    "주십시오",
    "notebook.download_dropped": "files.download() 는 아무 일도 하지 않습니다. 파일은 제자리에 "
    "남습니다.",
    "notebook.download_dropped.fix": "",
    "notebook.google_auth": "Google 로그인을 건너뜁니다.",
    "notebook.google_auth.fix": "Google에서 읽는 코드라면 GOOGLE_APPLICATION_CREDENTIALS 를 "
    "설정하십시오",
    "notebook.spawned_workers": "노트북 안에서 정의한 클래스와 num_workers > 0 은 이 운영 체제에서 "
    "노트북에서처럼 실패합니다.",
    "notebook.spawned_workers.fix": "num_workers 를 0으로 하거나 데이터셋 클래스를 모듈로 "
    "옮기십시오",
    "notebook.platform_path": "이 컴퓨터에 없는 폴더입니다: {folder}",
    "notebook.platform_path.fix": "여기서의 위치를 알려 주십시오: {option}",
    "notebook.map_target_missing": "--map 에 적은 폴더가 없습니다: {folder}",
    "notebook.map_target_missing.fix": "폴더를 만들거나 경로를 고치십시오",
    "notebook.map_unused": "--map {folder}: 노트북에 나오지 않는 폴더입니다.",
    "notebook.map_unused.fix": "철자를 확인하십시오",
    "notebook.input_missing": "읽을 파일이 없습니다: {path}",
    "notebook.input_missing.fix": "데이터를 그 자리에 두거나 --map 을 고치십시오",
    "notebook.secret_literal": "비밀 값으로 보이는 문자열이 있는 줄입니다.",
    "notebook.secret_literal.fix": "os.environ 에서 읽으십시오. 노트북은 공유되고 스크립트는 "
    "보관됩니다",
    "notebook.secret_replaced": "환경 변수의 비밀 값이 그대로 적혀 있어, 스크립트는 변수를 읽도록 "
    "바꾸었습니다.",
    "notebook.secret_replaced.fix": "노트북도 같은 방법으로 고치십시오",
    "notebook.out_of_order": "셀 {cell}의 마지막 실행이 위에 있는 셀 {before}의 실행보다 "
    "먼저입니다. "
    "스크립트는 위에서 아래로 실행합니다.",
    "notebook.out_of_order.fix": '노트북에서 "다시 시작하고 모두 실행"을 한 번 해 보십시오',
    "notebook.name_undefined": "어느 셀에서도 정의하지 않은 이름입니다: {name}. 삭제된 셀에 "
    "있었을 수 "
    "있습니다.",
    "notebook.name_undefined.fix": "노트북에서 정의하십시오",
    "notebook.name_close": "어느 셀에서도 정의하지 않은 이름입니다: {name} (비슷한 이름: {close})",
    "notebook.name_close.fix": "이름을 고치거나 정의하십시오",
    "notebook.name_later": "셀 {later}에서 정의하기 전에 쓰이는 이름입니다: {name}",
    "notebook.name_later.fix": "정의를 위로 옮기십시오",
    "notebook.name_later_line": "같은 셀의 아래쪽에서 정의하기 전에 쓰이는 이름입니다: {name}",
    "notebook.name_later_line.fix": "정의를 위로 옮기십시오",
    "notebook.name_history": "노트북의 출력 기록이라 스크립트에는 없는 이름입니다: {name}",
    "notebook.name_history.fix": "값에 이름을 붙이십시오",
    "notebook.python_silent": "파이썬이 응답하지 않아 설치된 패키지를 알 수 없습니다: {python}",
    "notebook.python_silent.fix": "--python 을 확인하십시오",
    "notebook.install_missing": "설치되어 있지 않습니다: {requirement} ({python})",
    "notebook.install_missing.fix": "{python} -m pip install '{requirement}'",
    "notebook.install_differs": "노트북이 요구하는 버전은 {requirement}, 설치된 버전은 "
    "{version}입니다.",
    "notebook.install_differs.fix": "지금 버전으로 실패하면 {python} -m pip install "
    "'{requirement}'",
    "notebook.install_unknown": "설치 여부를 알 수 없습니다: {requirement}",
    "notebook.install_unknown.fix": "없다면 한 번 직접 설치하십시오",
    "notebook.install_system": "시스템 패키지라 설치하지 않았습니다: {requirement}",
    "notebook.install_system.fix": "없다면 한 번 직접 설치하십시오",
    "notebook.import_missing": "모듈이 없습니다: {module} ({python})",
    "notebook.import_missing.fix": "{python} -m pip install {module} (패키지 이름은 다를 수 "
    "있습니다)",
    "notebook.help": "노트북을 혼자 실행되는 스크립트로 바꿉니다.\n\n"
    "아무것도 실행하지 않습니다. 설치 명령은 목록으로 보여 주고, 셸 명령과 매직은 파이썬으로, "
    "그림은 "
    "파일로, 로그인은 환경 변수로 바꿉니다. 밤에 실패할 것은 지금 알려 줍니다. 실행을 막는 것이 "
    "있으면 2로 끝납니다 (스크립트는 만들어집니다).\n\n"
    "예: overnight convert baseline.ipynb --set EPOCHS=1 --map /kaggle/input=./data",
    "notebook.help.notebook": ".ipynb 파일.",
    "notebook.help.output": "만들 스크립트. 기본값: 노트북 옆에 같은 이름으로.",
    "notebook.help.set": "노트북에서 대입하는 값을 바꿉니다. 여러 번 쓸 수 있습니다.",
    "notebook.help.map": "Colab이나 Kaggle 폴더의 실제 위치. 여러 번 쓸 수 있습니다.",
    "notebook.help.python": "작업을 실행할 파이썬. 기본값: 활성화된 환경의 파이썬.",
    "notebook.help.force": "변환된 노트북이 아닌 파일도 덮어씁니다.",
    "notebook.help.json": "결과를 JSON으로 출력합니다.",
    "notebook.exists": "이미 있는 파일이고 변환된 노트북이 아닙니다: {file}",
    "notebook.exists.fix": "-o 로 다른 이름을 주거나 --force 로 덮어쓰십시오",
    "notebook.same_file": "스크립트가 노트북을 덮어쓰게 됩니다: {file}",
    "notebook.same_file.fix": "-o 로 다른 이름을 주십시오",
    "notebook.not_written": "스크립트를 쓸 수 없습니다: {reason}.",
    "notebook.not_written.fix": "폴더, 권한, 디스크 공간을 확인하십시오",
    "notebook.pair": "{option} 의 형식은 이름=값 입니다: {given}",
    "notebook.pair.fix": "예: {example}",
    "notebook.done": "{script}: 코드 셀 {count}개.",
    "notebook.installs": "실행하지 않은 설치 명령: {list}",
    "notebook.mapped": "{folder} 위치: {target}",
    "notebook.parameters": "바꾼 값:",
    "notebook.place": "셀 {cell}, {line}번째 줄",
    "notebook.place_cell": "셀 {cell}",
    "notebook.place_whole": "노트북",
    "notebook.level.blocks": "막음",
    "notebook.level.warns": "경고",
    "notebook.level.notes": "참고",
    "notebook.blocked": "이 중 {count}개는 밤에 실행을 멈추게 합니다. 고치기 전에는 `overnight "
    "run` 이 "
    "시작하지 않습니다.",
    "notebook.next": "실행: {command}",
}
