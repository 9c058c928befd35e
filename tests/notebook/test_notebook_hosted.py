"""Colab and Kaggle notebooks, logins, folders and secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from overnight.notebook import Conversion

Convert = Callable[..., Conversion]
Cell = Callable[..., str]
SECRET = "correct-horse-battery-1"


def told(conversion: Conversion) -> list[tuple[str, str, int, int]]:
    return [(f.level, f.key.partition(".")[2], f.cell, f.line) for f in conversion.findings]


# -- logins and questions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "level"),
    [
        ("from google.colab import userdata\nuserdata.get('HF_TOKEN')", "blocks"),
        ("from google.colab import userdata as u\ndef f():\n    u.get('HF_TOKEN')", "warns"),
        ("try:\n    from google.colab import userdata\n    userdata.get('HF_TOKEN')\n"
         "except ImportError:\n    pass", None),
        ("from huggingface_hub import notebook_login\nnotebook_login()", "blocks"),
        ("import huggingface_hub as h\nh.login()", "blocks"),
        ("import huggingface_hub as h\nh.login(token='x')", None),
        ("from kaggle_secrets import UserSecretsClient\n"
         "UserSecretsClient().get_secret('HF_TOKEN')", "blocks"),
        ("import os\nos.environ['HF_TOKEN']", "blocks"),
        ("import os\nos.environ['HF_TOKEN'] = 'x'\nos.environ['HF_TOKEN']", None),
        ("%env HF_TOKEN=abc\nimport os\nos.environ['HF_TOKEN']", None),
        ("import os\nfrom dotenv import load_dotenv\nload_dotenv()\nos.environ['HF_TOKEN']",
         "warns"),
        ("!huggingface-cli login", "blocks"),
        ("!hf auth login --token $HF_TOKEN", None),
        ("if 1:\n    !huggingface-cli login", "warns"),
    ],
)  # fmt: skip
def test_tokens_are_needed_before_the_start(
    converted: Convert, cell: str, level: str | None
) -> None:
    found = [f.level for f in converted(cell).findings if f.key == "notebook.env_missing"]
    assert found == ([level] if level else [])
    with_token = converted(cell, env={"HF_TOKEN": SECRET})
    assert not [f for f in with_token.findings if f.key == "notebook.env_missing"]


def test_wandb_is_logged_in_by_key_file_or_mode(converted: Convert, tmp_path: Path) -> None:
    cell = "import wandb\nwandb.init(project='x')"
    assert told(converted(cell)) == [("blocks", "env_missing", 1, 2)]
    assert told(converted(cell, env={"WANDB_API_KEY": SECRET})) == []
    assert told(converted(cell, env={"WANDB_MODE": "offline"})) == []
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password x\n")
    assert told(converted(cell, env={"HOME": str(tmp_path)})) == []
    assert told(converted("import wandb\nwandb.init(mode='disabled')")) == []


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("name = input('name? ')", [("blocks", "asks_person", 1, 1)]),
        ("from getpass import getpass\nx = 1\nkey = getpass()", [("blocks", "asks_person", 1, 3)]),
        ("import getpass as g\ng.getpass()", [("blocks", "asks_person", 1, 2)]),
        ("def f():\n    return input()", [("warns", "asks_person", 1, 2)]),
        ("import torch\ninput = torch.ones(3)\ninput(1)", []),
        ("for input, target in loader: print(input())\nloader = 1", None),
        ("breakpoint()", [("blocks", "asks_person", 1, 1)]),
        ("from google.colab import files\nup = files.upload()", [("blocks", "asks_person", 1, 2)]),
    ],
)
def test_questions(
    converted: Convert, cell: str, expected: list[tuple[str, str, int, int]] | None
) -> None:
    found = [f for f in told(converted(cell)) if f[1] == "asks_person"]
    assert found == (expected or [])


def test_colab_and_kaggle_run_without_their_page(converted: Convert, output_of: Cell) -> None:
    conversion = converted(
        "import google.colab\nfrom google.colab import drive, files as f, userdata, data_table\n"
        "from google.colab.patches import cv2_imshow\nimport sys, google.colab.auth as a\n"
        "drive.mount('/content/drive')\na.authenticate_user()\ndata_table.anything(1)\n"
        "f.download('x.csv')\ngoogle.colab.drive.flush_and_unmount()",
        "from kaggle_secrets import UserSecretsClient\n"
        "client = UserSecretsClient()\nlen(userdata.get('A_KEY')), len(client.get_secret('A_KEY'))",
        "try:\n    import google.colab\n    IN_COLAB = True\nexcept ImportError:\n"
        "    IN_COLAB = False\nIN_COLAB",
        env={"A_KEY": SECRET},
    )
    assert not conversion.blocks
    out = output_of(conversion, env={"A_KEY": SECRET})
    assert "[not downloaded] x.csv" in out
    assert "(23, 23)" in out
    assert "False" in out


def test_notebook_progress_bars_become_text(converted: Convert, cell_text: Cell) -> None:
    conversion = converted(
        "from tqdm.notebook import tqdm, trange as t\nimport tqdm.notebook as tq\n"
        "import tqdm.notebook\nfrom tqdm import tqdm_notebook, notebook\ntqdm.notebook.tqdm([])"
    )
    assert cell_text(conversion).split("\n")[:4] == [
        "from tqdm.auto import tqdm; from tqdm.auto import trange as t",
        "import tqdm.auto as tq",
        "import tqdm.auto",
        "from tqdm.auto import tqdm as tqdm_notebook; from tqdm import auto as notebook",
    ]
    assert "tqdm.auto.tqdm([])" in conversion.source


def test_a_window_backend_becomes_a_file_one(converted: Convert, cell_text: Cell) -> None:
    text = cell_text(converted("import matplotlib\nmatplotlib.use('TkAgg')\nmatplotlib.use('Agg')"))
    assert text.split("\n")[1:3] == ['matplotlib.use("Agg")', "_nb_show(matplotlib.use('Agg'))"]


# -- folders --------------------------------------------------------------------------------------


def test_folders_are_mapped_everywhere(converted: Convert, cell_text: Cell, tmp_path: Path) -> None:
    data = tmp_path / "my data"
    (data / "a").mkdir(parents=True)
    (data / "a" / "b.csv").write_text("x")
    conversion = converted(
        "import os\nimport pandas as pd\nroot = '/kaggle/input'\n"
        "pd.read_csv('/kaggle/input/a/b.csv')\n"
        "f'/kaggle/input/{root}'\nos.path.join('/kaggle/input', 'a')\nbase = '.'\n"
        "base + '/kaggle/input'\n"
        "'https://x.y/kaggle/input/z', '/kaggles', 'x/kaggle/input'\ntext = '''a\n"
        "/kaggle/input/c\n'''",
        '!ls /kaggle/input/a && cat "/kaggle/input/a/b.csv"\n%cd /kaggle/input',
        paths={"/kaggle/input/": str(data)},
    )
    assert not conversion.blocks
    text = cell_text(conversion)
    assert f'root = "{data}"' in text
    assert f'pd.read_csv("{data}/a/b.csv")' in text
    assert f"f'{data}/{{root}}'" in text
    assert f'os.path.join("{data}", ' in text
    assert "base + '/kaggle/input'" in text
    assert "'https://x.y/kaggle/input/z', '/kaggles', 'x/kaggle/input'" in text
    assert f"{data}/c\n" in text
    assert f'_nb_cd("{data}")' in cell_text(conversion, 2)
    assert dict(conversion.mapped) == {"/kaggle/input": str(data)}
    assert [i.path for i in conversion.inputs] == [f"{data}/a/b.csv"]


@pytest.mark.parametrize(
    ("cell", "level"),
    [
        ("open('/kaggle/input/x.csv')", "blocks"),
        ("%cd /content/drive/MyDrive", "blocks"),
        ("out = '/kaggle/working/sub.csv'", "blocks"),
        ("def f():\n    return open('/kaggle/input/x.csv')", "warns"),
        ("import os\nif os.path.exists('/kaggle/input'):\n    d = '/kaggle/input/x'", "warns"),
        ("import os\nhere = os.path.exists('/kaggle/input')", None),
        ("'/kaggle/input only a remark'", None),
        ("print('/contents/x')", None),
    ],
)
def test_folders_that_are_not_here(converted: Convert, cell: str, level: str | None) -> None:
    found = [f for f in converted(cell).findings if f.key == "notebook.platform_path"]
    assert [f.level for f in found] == ([level] if level else [])
    assert all("--map" in f.fix for f in found)


def test_mapped_folders_must_exist_and_be_named(converted: Convert, tmp_path: Path) -> None:
    conversion = converted("open('/kaggle/input/a.csv')", paths={"/kaggle/input": "/no/such"})
    assert [f.key for f in conversion.blocks] == ["notebook.map_target_missing"]
    conversion = converted("open('/kaggle/input/a.csv')", paths={"/kaggle/input": str(tmp_path)})
    assert [f.key for f in conversion.blocks] == ["notebook.input_missing"]
    conversion = converted("x = 1", paths={"/kaggle/inptu": str(tmp_path)})
    assert [f.key for f in conversion.findings] == ["notebook.map_unused"]


def test_files_it_reads_are_listed(converted: Convert) -> None:
    conversion = converted(
        "import pandas as pd, numpy as np\npd.read_csv('train.csv')\nopen('out.txt', 'w')\n"
        "np.save('w.npy', 1)\nnp.load('w.npy')\npd.read_csv('https://x.y/z.csv')\nopen('in.txt')",
        "!wget x\npd.read_csv('from_wget.csv')",
    )
    assert [(i.path, i.cell, i.line) for i in conversion.inputs] == [
        ("train.csv", 1, 2),
        ("in.txt", 1, 7),
    ]


# -- secrets --------------------------------------------------------------------------------------


def test_secrets_of_the_environment_never_reach_the_script(
    converted: Convert, output_of: Cell
) -> None:
    env = {"MY_TOKEN": SECRET, "PIN_PASSWORD": "12345678"}
    conversion = converted(
        f"md:the token is {SECRET}",
        f"a = '{SECRET}'  # {SECRET}\nb = f\"x{SECRET}{{1}}\"\nc = b'{SECRET}'\nd = 12345678\n"
        f"e = 'https://u:{SECRET}@h/x'\nf = '''{SECRET}\n'''\ng = ('{SECRET}'\n '{SECRET}')",
        f"!echo {SECRET}\n%env KEY={SECRET}\n%unknown {SECRET}\n# !pip install {SECRET}",
        f"%%writefile {SECRET[:3]}.txt\n{SECRET}",
        f"%%bash\necho {SECRET}",
        f"this is no Python: {SECRET}",
        f"%%html\n{SECRET}",
        "a == c.decode() == e[10:-4] == f.strip(), b, d, g",
        env=env,
    )
    texts = [conversion.source, conversion.overrides_diff]
    texts += [finding.text + finding.fix + str(finding.fields) for finding in conversion.findings]
    assert not [text for text in texts if SECRET in text]
    assert 'a = os.environ["MY_TOKEN"]' in conversion.source
    out = output_of(conversion, env=env)
    assert f"(True, 'x{SECRET}1', 12345678, '{SECRET}{SECRET}')" in out


def test_what_looks_like_a_secret_is_told_without_being_shown(converted: Convert) -> None:
    looks = "hf_" + "a1B2" * 8
    conversion = converted(
        f"x = 1\nt = '{looks}'\napi_key = '{'0a1b' * 8}'\npad_token = '<pad>'\nkey = 'label'\n"
        "!cmd --token $T"
    )
    found = [f for f in conversion.findings if f.key == "notebook.secret_literal"]
    assert [(f.cell, f.line, f.level) for f in found] == [(1, 2, "warns"), (1, 3, "warns")]
    assert looks not in "".join(f.text + f.fix + str(f.fields) for f in conversion.findings)
