"""What is found in scripts before they run: faults with their lines, and none where none is."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from overnight.preflight.target import Finding, Job, from_command, look

Found = list[Finding]
Look = Callable[..., Found]


@pytest.fixture
def look_at(tmp_path: Path) -> Look:
    """Looks at a script of this text, in a folder with these files."""

    def run(
        text: str,
        *args: str,
        files: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        name: str = "train.py",
    ) -> Found:
        for path, content in (files or {}).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(textwrap.dedent(content), "utf-8")
        script = tmp_path / name
        script.write_text(textwrap.dedent(text), "utf-8")
        clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **(env or {})}
        job = Job("script", str(script), args, sys.executable, clean, str(tmp_path), str(tmp_path))
        return look(job)

    return run


#: What depends on the machine the tests run on.
MACHINE = {"disk", "memory", "shm"}


def told(found: Sequence[Finding], *levels: str) -> set[tuple[str, str, str]]:
    """Name, code and line of the findings of these levels, without the machine's."""
    wanted = levels or ("bad",)
    return {
        (item.name, item.code, item.where)
        for item in found
        if item.level in wanted and item.name not in MACHINE
    }


def nothing(found: Sequence[Finding]) -> bool:
    return not told(found, "bad", "warn")


# -- the code -------------------------------------------------------------------------------------


def test_a_syntax_error_is_told_with_its_line(look_at: Look) -> None:
    found = look_at("import os\n\ndef train(:\n    pass\n")
    assert told(found) == {("code", "syntax", "train.py:3")}
    assert all(item.text for item in found)


def test_a_name_nobody_defines(look_at: Look) -> None:
    found = look_at(
        """
        import json

        summary = {"loss": 1.0}

        def main():
            print(json.dumps(sumary))

        main()
        """
    )
    (finding,) = [item for item in found if item.name == "names"]
    assert (finding.level, finding.code, finding.where) == ("bad", "close", "train.py:7")
    assert "summary" in finding.fix


def test_arguments_the_script_would_refuse(look_at: Look) -> None:
    text = """
        import argparse

        def get_args():
            parser = argparse.ArgumentParser()
            parser.add_argument("data")
            parser.add_argument("--epochs", type=int, default=3)
            parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
            return parser.parse_args()

        def main():
            args = get_args()
            print(args.epochs)

        if __name__ == "__main__":
            main()
        """
    refused = {("arguments", "refused", "train.py:9")}
    assert told(look_at(text)) == refused
    assert told(look_at(text, ".", "--epoch", "three")) == refused
    assert told(look_at(text, ".", "--optimizer", "lion")) == refused
    assert told(look_at(text, ".", "--batch", "3")) == refused
    assert nothing(look_at(text, ".", "--epochs", "20", "--optimizer", "adam"))


def test_arguments_of_a_parser_that_is_not_wholly_known_are_not_refused(look_at: Look) -> None:
    head = "import argparse\nparser = argparse.ArgumentParser()\n"
    lower = head + "parser.add_argument('--opt', type=str.lower, choices=['sgd', 'adam'])\n"
    assert nothing(look_at(lower + "parser.parse_args()\n", "--opt", "SGD"))
    added = head + "from elsewhere import add_args\nadd_args(parser=parser)\nparser.parse_args()\n"
    files = {"elsewhere.py": "def add_args(parser):\n    parser.add_argument('--more')\n"}
    assert nothing(look_at(added, "--more", "1", files=files))


# -- imports --------------------------------------------------------------------------------------


def test_missing_modules(look_at: Look) -> None:
    found = look_at(
        """
        import os.path
        import xml.etree.ElementTree as tree
        import a_module_nobody_has
        from another_one.sub import thing
        import json.nothing_here

        try:
            import optional_one
        except ImportError:
            optional_one = None

        def late():
            import missing_at_night
        """
    )
    assert told(found) == {
        ("imports", "missing", "train.py:4"),
        ("imports", "missing", "train.py:5"),
        ("imports", "part_missing", "train.py:6"),
    }
    assert ("imports", "missing", "train.py:14") in told(found, "warn")
    fixes = [item.fix for item in found if item.where == "train.py:4"]
    assert fixes == [f"{sys.executable} -m pip install a_module_nobody_has"]
    optional = [item for item in found if item.code == "optional"]
    assert [item.facts["modules"] for item in optional] == [["optional_one"]]
    assert optional[0].level == "ok"


def test_only_an_import_that_is_surely_reached_fails_the_job(look_at: Look) -> None:
    found = look_at(
        """
        import helper
        from package import compiled, lazy
        from package.compiled import fast
        from package.lazy import anything

        def main():
            import missing_in_main

        def nobody_calls_it():
            import missing_elsewhere

        main()
        """,
        files={
            "helper.py": """
                import missing_in_helper

                def late():
                    import missing_late

                if __name__ == "__main__":
                    import missing_under_its_own_guard
                """,
            "package/__init__.py": "",
            "package/compiled.cpython-311-x86_64-linux-gnu.so": "",
            "package/lazy.py": "def _made(name): return 1\n__getattr__ = _made\n",
        },
    )
    assert told(found) == {
        ("imports", "missing", "helper.py:2"),
        ("imports", "missing", "train.py:8"),
    }
    assert {item for item in told(found, "warn") if item[0] == "imports"} == {
        ("imports", "missing", "helper.py:5"),
        ("imports", "missing", "train.py:11"),
    }


def test_an_installed_package_is_preferred_to_a_folder_that_is_none(look_at: Look) -> None:
    text = "from yaml import safe_load\nfrom tools.steps import run\nimport tools.nothing\n"
    files = {"yaml/notes.py": "", "tools/steps.py": "import missing_there\ndef run(): ..."}
    found = look_at(text, files=files)
    assert told(found) == {("imports", "part_missing", "train.py:3")}
    assert ("imports", "missing", "tools/steps.py:1") in told(found, "warn")


def test_modules_beside_the_script(look_at: Look) -> None:
    files = {
        "model.py": "class Net: pass\n",
        "src/engine/__init__.py": "from .loop import fit\n",
        "src/engine/loop.py": "import not_installed_anywhere\ndef fit(): pass\n",
        "src/losses.py": "def focal(): pass\n",
    }
    found = look_at(
        """
        import sys
        from pathlib import Path
        sys.path.append(str(Path(__file__).resolve().parent / "src"))
        from engine import fit
        from losses import focal, dice
        from model import Net
        from engine.missing import gone
        fit(); focal(); dice(); Net(); gone()
        """,
        files=files,
    )
    assert told(found) == {
        ("imports", "missing", "src/engine/loop.py:1"),
        ("imports", "name_missing", "train.py:6"),
        ("imports", "local_missing", "train.py:8"),
    }


def test_a_relative_import_in_a_script(look_at: Look, tmp_path: Path) -> None:
    text = "from .model import Net\nNet()\n"
    files = {"pkg/__init__.py": "", "pkg/model.py": "class Net: pass\n"}
    found = look_at(text, files=files, name="pkg/train.py")
    assert told(found) == {("imports", "relative", "train.py:1")}
    assert "python -m pkg.train" in next(item.fix for item in found if item.code == "relative")
    argv = [sys.executable, "-m", "pkg.train"]
    job = from_command(argv, dict(os.environ), str(tmp_path), str(tmp_path))
    assert job.kind == "script"
    assert nothing(look(job))


def test_files_that_hide_modules(look_at: Look) -> None:
    files = {"random.py": "x = 1\n", "numpy.py": "x = 1\n", "helper.py": "x = 1\n"}
    found = look_at("import helper, numpy\nprint(helper.x, numpy.x)\n", files=files)
    hidden = {(item.code, item.fields["module"]) for item in found if item.level == "warn"}
    assert hidden == {("hides_standard", "random"), ("hides_installed", "numpy")}


def test_requirements_beside_the_script(look_at: Look) -> None:
    text = "requests_of_nobody>=1  # why\nnumpy>=900\npytest\nwinonly; sys_platform == 'win32'\n"
    found = look_at("print(1)\n", files={"requirements.txt": text})
    assert told(found, "warn") == {
        ("installs", "missing", "requirements.txt:1"),
        ("installs", "differs", "requirements.txt:2"),
    }


# -- inputs ---------------------------------------------------------------------------------------


def test_inputs_that_are_not_there(look_at: Look) -> None:
    found = look_at(
        """
        import argparse
        import os
        from pathlib import Path
        import numpy as np
        import pandas as pd

        ROOT = "data"

        class CFG:
            folder = ROOT
            test = os.path.join(ROOT, "test.csv")

        parser = argparse.ArgumentParser()
        parser.add_argument("--labels", default="labels.json")
        args = parser.parse_args()

        def load(path):
            with open(path) as file:
                return file.read()

        def main():
            train = pd.read_csv(os.path.join(CFG.folder, "trian.csv"))
            test = pd.read_csv(CFG.test)
            labels = load(args.labels)
            extra = load(Path(ROOT) / "extra.txt")
            x = np.load(f"{CFG.folder}/x.npy")
            if os.path.exists("last.pt"):
                x = np.load("last.pt")
            if train.empty:
                x = np.load("fallback.npy")
            return x

        main()
        """,
        "--labels",
        "classes.json",
        files={"data/train.csv": "a,b\n"},
    )
    assert told(found) == {
        ("inputs", "missing_near", "train.py:23"),
        ("inputs", "missing", "train.py:24"),
        ("inputs", "missing", "train.py:19"),
        ("inputs", "missing", "train.py:27"),
    }
    assert told(found, "warn") == {("inputs", "missing_maybe", "train.py:31")}
    paths = {item.fields.get("path") for item in found if item.where == "train.py:19"}
    assert paths == {"classes.json", "data/extra.txt"}


def test_what_is_made_before_it_is_read(look_at: Look) -> None:
    found = look_at(
        """
        import os, json, subprocess, urllib.request, zipfile
        import pandas as pd
        os.makedirs("out/ckpt", exist_ok=True)
        for epoch in range(3):
            with open(f"out/ckpt/{epoch}.json", "w") as file:
                json.dump({}, file)
        json.load(open("out/ckpt/2.json"))
        pd.DataFrame().to_csv("out/table.csv")
        pd.read_csv("out/table.csv")
        urllib.request.urlretrieve("https://example.com/d.zip", "d.zip")
        zipfile.ZipFile("d.zip").extractall("unpacked")
        pd.read_csv("unpacked/train.csv")
        try:
            open("settings.json")
        except FileNotFoundError:
            pass
        """
    )
    assert nothing(found)
    found = look_at(
        """
        import subprocess
        import pandas as pd
        subprocess.run(["./fetch.sh"], check=True)
        pd.read_csv("fetched.csv")
        pd.read_csv(input_of_somebody())
        pd.read_csv("later.csv")
        pd.DataFrame().to_csv("later.csv")
        """
    )
    assert ("inputs", "may_be_made", "train.py:5") in told(found, "unknown")
    assert ("inputs", "computed", "train.py:6") in told(found, "unknown")


@pytest.mark.parametrize(
    "making",
    [
        "zipfile.ZipFile('there.zip').extractall()",
        "shutil.unpack_archive('there.zip', 'data')",
        "shutil.unpack_archive('there.zip')",
        "Loader().fetch('https://example.com/x.csv', 'data/x.csv')",
        "fetch('https://example.com/x.csv', 'data/x.csv')",
        "snapshot_download('a/b', local_dir='data')",
    ],
)
def test_what_is_unpacked_or_fetched_before_it_is_read(look_at: Look, making: str) -> None:
    found = look_at(
        f"""
        import functools, shutil, urllib.request, zipfile
        from huggingface_hub import snapshot_download
        from transformers import AutoModel

        def retry(function):
            return functools.wraps(function)(lambda *given: function(*given))

        @retry
        def fetch(url, path):
            with open(path, "wb") as file:
                file.write(urllib.request.urlopen(url).read())

        class Loader:
            def fetch(self, url, path):
                with open(path, "wb") as file:
                    file.write(urllib.request.urlopen(url).read())

        {making}
        open("data/x.csv")
        {"AutoModel.from_pretrained('./data/model')" if "snapshot" in making else ""}
        """,
        files={"there.zip": ""},
    )
    assert not [item for item in told(found) if item[0] in ("inputs", "outputs")]


def test_a_folder_below_which_everything_is_missing(look_at: Look) -> None:
    text = """
        from PIL import Image
        from glob import glob
        from pathlib import Path
        def load(i):
            return Image.open(f"images/train/{i}.png")
        images = [load(i) for i in range(10)]
        masks = glob("masks/*.png")
        more = [Image.open(path) for path in sorted(Path("masks").glob("*.png"))]
        """
    found = look_at(text)
    assert told(found, "bad", "warn") == {
        ("inputs", "folder_missing", "train.py:6"),
        ("inputs", "no_match", "train.py:8"),
        ("inputs", "no_match", "train.py:9"),
    }
    there = {"images/train/0.png": "", "masks/0.png": ""}
    assert nothing(look_at(text, files=there))


# -- outputs --------------------------------------------------------------------------------------


def test_folders_nobody_makes(look_at: Look) -> None:
    text = """
        import os
        import numpy as np
        import pandas as pd
        from pathlib import Path

        OUT = Path("outputs")
        {made}

        def train():
            np.save(OUT / "weights.npy", np.zeros(3))

        def main():
            train()
            pd.DataFrame().to_csv(f"results/pred_{{1 + 1}}.csv", index=False)

        if __name__ == "__main__":
            main()
        """
    found = look_at(text.format(made=""))
    assert told(found) == {
        ("outputs", "missing", "train.py:11"),
        ("outputs", "missing", "train.py:15"),
    }
    assert {item.fix for item in found if item.name == "outputs"} == {
        "mkdir -p outputs", "mkdir -p results",
    }  # fmt: skip
    made = 'OUT.mkdir(parents=True, exist_ok=True); os.makedirs("results/more", exist_ok=True)'
    assert nothing(look_at(text.format(made=made)))


def test_a_folder_that_cannot_be_written(look_at: Look, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    found = look_at('import numpy as np\nnp.save("file/x.npy", np.zeros(3))\n')
    assert told(found) == {("outputs", "not_folder", "train.py:2")}


# -- people ---------------------------------------------------------------------------------------


def test_what_waits_for_a_person(look_at: Look) -> None:
    found = look_at(
        """
        import getpass, pdb, os, subprocess
        import wandb
        from huggingface_hub import login

        name = input("name? ")
        key = getpass.getpass()
        pdb.set_trace()
        login()
        wandb.init(project="x")
        wandb.init(project="x", mode="offline")
        os.system("git clone git@example.com:a/b.git")
        subprocess.run(["conda", "install", "numpy"])
        subprocess.run("apt-get install -y git", shell=True)

        def never(answer):
            return input(answer)
        """
    )
    assert {item for item in told(found) if item[0] == "prompts"} == {
        ("prompts", "asks", "train.py:6"),
        ("prompts", "asks", "train.py:7"),
        ("prompts", "asks", "train.py:8"),
        ("prompts", "hub_login", "train.py:9"),
        ("prompts", "wandb", "train.py:10"),
    }
    assert {item for item in told(found, "warn") if item[0] == "prompts"} == {
        ("prompts", "shell_ssh_key", "train.py:12"),
        ("prompts", "shell_confirm", "train.py:13"),
        ("prompts", "asks", "train.py:17"),
    }
    keys = {"WANDB_API_KEY": "0123456789abcdef", "HF_TOKEN": "hf_0123456789abcdefgh"}
    quiet = look_at("import wandb\nwandb.init()\n", env=keys)
    assert not [item for item in quiet if item.name == "prompts" and item.level != "ok"]
    assert not any(value in item.text for item in found for value in keys.values())


def test_an_input_of_the_scripts_own_is_no_question(look_at: Look) -> None:
    assert nothing(look_at("def input(text):\n    return 1\nprint(input('x'))\n"))


def test_windows_only_wait_where_there_is_a_screen(look_at: Look) -> None:
    text = "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\n"
    assert nothing(look_at(text))
    screen = {"DISPLAY": ":0"}
    assert told(look_at(text, env=screen), "warn") == {("prompts", "window", "train.py:3")}
    assert nothing(look_at(text, env={**screen, "MPLBACKEND": "Agg"}))


def test_variables_it_cannot_do_without(look_at: Look) -> None:
    text = """
        import os
        os.environ["SET_HERE"] = "1"
        print(os.environ["SET_HERE"], os.environ.get("NOT_NEEDED"), os.environ["DATA_DIR"])
        try:
            os.environ["OPTIONAL"]
        except KeyError:
            pass
        """
    assert told(look_at(text)) == {("environment", "missing", "train.py:4")}
    assert nothing(look_at(text, env={"DATA_DIR": "/data"}))


# -- the machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "is_bad"),
    [
        ("model.cuda()", True),
        ('model.to("cuda")', True),
        ("model.to(device)", True),
        ('model.to("cuda" if torch.cuda.is_available() else "cpu")', False),
        ("if torch.cuda.is_available(): model.cuda()", False),
        ('model.to("cpu")', False),
    ],
)
def test_a_gpu_that_is_not_there(look_at: Look, line: str, is_bad: bool) -> None:
    text = f'import torch\ndevice = "cuda:0"\nmodel = torch.nn.Linear(2, 2)\n{line}\n'
    found = look_at(text, env={"CUDA_VISIBLE_DEVICES": ""})
    assert bool([item for item in told(found) if item[0] == "gpu"]) is is_bad
    assert bool([item for item in told(found, "warn") if item[0] == "gpu"]) is False


def test_a_model_from_the_hub(look_at: Look, tmp_path: Path) -> None:
    text = """
        from transformers import AutoModel
        AutoModel.from_pretrained("some-org/some-model")
        AutoModel.from_pretrained("./exported/model")
        """
    found = look_at(text)
    assert told(found) == {("inputs", "missing", "train.py:4")}
    assert ("hub", "to_fetch", "train.py:3") in told(found, "unknown")
    offline = look_at(text, env={"HF_HUB_OFFLINE": "1"})
    assert ("hub", "offline", "train.py:3") in told(offline)
    cached = tmp_path / ".cache/huggingface/hub/models--some-org--some-model/snapshots"
    cached.mkdir(parents=True)
    assert not [item for item in look_at(text) if item.name == "hub"]


def test_a_model_in_a_cache_of_ones_own(look_at: Look, tmp_path: Path) -> None:
    def run(call: str, **env: str) -> Found:
        text = f"from transformers import AutoModel\n{call}\n"
        return [e for e in look_at(text, env={"HF_HUB_OFFLINE": "1", **env}) if e.name == "hub"]

    (tmp_path / "mine/models--a--b/snapshots").mkdir(parents=True)
    assert not run("AutoModel.from_pretrained('a/b', cache_dir='mine')")
    assert not run("AutoModel.from_pretrained('a/b', cache_dir=open('x').read())")
    assert not run("AutoModel.from_pretrained('a/b')", HUGGINGFACE_HUB_CACHE=str(tmp_path / "mine"))
    for call, level in {
        "AutoModel.from_pretrained('a/b', cache_dir='other')": "bad",
        "try: AutoModel.from_pretrained('a/b')\nexcept OSError: pass": "warn",
        "def load(): AutoModel.from_pretrained('a/b')": "warn",
    }.items():
        assert [item.level for item in run(call)] == [level], call


def test_what_a_module_beside_the_script_sets(look_at: Look) -> None:
    files = {"config.py": "import os\nos.environ['MINE'] = os.environ['WANDB_MODE'] = 'offline'\n"}
    text = "import os\nimport config\nimport wandb\nprint(os.environ['MINE'])\nwandb.init()\n"
    found = look_at(text, files=files)
    assert not [item for item in found if item.name in ("environment", "prompts") and item.fix]


def test_a_wandb_server_of_ones_own(look_at: Look) -> None:
    text = "import wandb\nwandb.init()\n"
    files = {".netrc": "machine wandb.lab.example login user password 0123456789"}
    here = {"WANDB_BASE_URL": "https://wandb.lab.example"}
    assert ("prompts", "wandb", "train.py:2") in told(look_at(text, files=files))
    assert ("prompts", "wandb", "train.py:2") not in told(look_at(text, files=files, env=here))
    files[".config/wandb/settings"] = "[default]\nbase_url = https://wandb.lab.example\n"
    assert ("prompts", "wandb", "train.py:2") not in told(look_at(text, files=files))


def test_xgboost_goes_on_without_a_gpu(look_at: Look) -> None:
    text = "from xgboost import XGBClassifier\nXGBClassifier(device='cuda')\n"
    found = look_at(text, env={"CUDA_VISIBLE_DEVICES": ""})
    assert not [item for item in found if item.name == "gpu"]


def test_workers_that_start_the_script_anew(look_at: Look) -> None:
    text = """
        import torch.multiprocessing as mp
        from torch.utils.data import DataLoader
        mp.set_start_method("spawn")
        {guard}loader = DataLoader([1, 2], num_workers=2)
        """
    told_of = told(look_at(text.format(guard="")), "warn")
    assert told_of == {("workers", "no_guard", "train.py:5")}
    assert nothing(look_at(text.format(guard='if __name__ == "__main__": ')))


def test_a_script_too_large_to_follow_is_only_compiled(look_at: Look) -> None:
    found = look_at("x = 1\n" * 400_000)
    assert ("code", "not_followed", "") in told(found, "unknown")
    assert nothing(found)


# -- what is never reached ------------------------------------------------------------------------


@pytest.mark.parametrize("resume", ["", "last.npy"])
def test_what_an_option_switches_off_is_not_asked_for(look_at: Look, resume: str) -> None:
    found = look_at(
        """
        import argparse
        import sys
        import numpy as np
        parser = argparse.ArgumentParser()
        parser.add_argument("--resume", default=None)
        args = parser.parse_args()

        def restore(path):
            return np.load(path)

        if args.resume is not None:
            restore(args.resume)
        if "google.colab" in sys.modules:
            np.load("/content/x.npy")
        """,
        *(["--resume", resume] if resume else []),
    )
    assert told(found) == ({("inputs", "missing", "train.py:10")} if resume else set())


# -- commands -------------------------------------------------------------------------------------


def test_commands(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import nothing_of_this_name\n", "utf-8")
    (tmp_path / "run.sh").write_text("echo 1\nsudo reboot\nif then\n", "utf-8")
    env, cwd = dict(os.environ), str(tmp_path)

    def told_of(*argv: str) -> set[tuple[str, str, str]]:
        return told(look(from_command(argv, env, cwd, cwd)), "bad", "warn")

    assert told_of(sys.executable, "-u", "train.py", "--x") == {
        ("imports", "missing", "train.py:1")
    }
    assert told_of("/bin/bash", "run.sh") == {
        ("code", "shell_syntax", ""), ("prompts", "shell_sudo", "run.sh:2"),
    }  # fmt: skip
    found = look(from_command(["/bin/true"], env, cwd, cwd))
    assert [item.code for item in found if item.level == "unknown"] == ["not_read"]


# -- no false alarms ------------------------------------------------------------------------------

TRAININGS = sorted((Path(__file__).parents[1] / "supervisor" / "trainings").glob("*.py"))


def test_the_python_a_launcher_names_is_asked(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("", "utf-8")
    launcher = tmp_path / "bin" / "mpirun"
    launcher.parent.mkdir()
    for path in (launcher, launcher.with_name("python")):
        path.write_text("#!/bin/sh\n", "utf-8")
        path.chmod(0o755)
    place = (str(tmp_path), str(tmp_path))
    named = from_command([str(launcher), "-n", "2", sys.executable, "train.py"], {}, *place)
    assert (named.kind, named.python) == ("script", sys.executable)
    beside = from_command([str(launcher), "train.py"], {}, *place)
    assert beside.python == str(launcher.with_name("python"))


@pytest.mark.parametrize("path", TRAININGS, ids=lambda path: path.stem)
def test_real_trainings_are_fine(path: Path) -> None:
    args = ("--epochs", "3") if path.stem == "slow_first_epoch" else ()
    cwd = str(path.parent)
    job = Job("script", str(path), args, sys.executable, dict(os.environ), cwd, cwd)
    assert not told(look(job), "bad", "warn")
