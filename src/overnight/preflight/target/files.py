"""Which calls read, write or make files: the table, and where in a call the path stands."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from overnight.preflight.target.evaluator import hides_parameters
from overnight.preflight.target.program import Program, Site
from overnight.preflight.target.scope import Function
from overnight.preflight.target.values import HOLE, UNKNOWN, PathText, Values

Does = Literal[
    "reads",  # the file must be there
    "lists",  # the folder must be there
    "matches",  # gives nothing where nothing matches
    "writes",  # the folder around it must be there
    "makes",  # makes the folder and all around it
    "makes_one",  # makes the folder, the one around it must be there
    "fills",  # whatever lies below it afterwards may be new
]


@dataclass(frozen=True, slots=True)
class Rule:
    """One function: what it does with which argument.

    Attributes:
        at: Position of the path.
        words: Its names as a keyword.
    """

    does: Does
    at: int = 0
    words: tuple[str, ...] = ()


_PATH_WORDS = (
    "path", "file", "fname", "filename", "filepath", "fp", "io", "f", "root", "name", "folder",
    "filepath_or_buffer", "path_or_buf", "path_or_buffer", "directory", "dir", "model_file",
    "pathname", "uri", "archive", "img_path", "data_dir", "dataset_path", "source",
)  # fmt: skip


def _rules(does: Does, *names: str, at: int = 0) -> dict[str, Rule]:
    return {name: Rule(does, at, _PATH_WORDS) for name in names}


#: Dotted name → rule.
_FUNCTIONS: Mapping[str, Rule] = {
    **_rules(
        "reads",
        *(f"pandas.read_{kind}" for kind in (
            "csv", "table", "json", "parquet", "excel", "pickle", "feather", "hdf", "orc", "stata",
            "xml", "fwf", "sas", "spss")),
        *(f"polars.{verb}_{kind}" for verb in ("read", "scan")
          for kind in ("csv", "parquet", "json", "ndjson", "ipc", "excel")),
        "numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile",
        "torch.load", "torch.jit.load", "PIL.Image.open", "cv2.imread", "skimage.io.imread",
        "imageio.imread", "imageio.v2.imread", "imageio.v3.imread", "matplotlib.image.imread",
        "matplotlib.pyplot.imread", "torchvision.io.read_image", "joblib.load",
        "safetensors.torch.load_file", "safetensors.numpy.load_file", "safetensors.safe_open",
        "scipy.io.loadmat", "scipy.io.wavfile.read", "soundfile.read", "librosa.load",
        "torchaudio.load", "cv2.VideoCapture", "nibabel.load", "rasterio.open",
        "geopandas.read_file", "pyarrow.parquet.read_table", "datasets.load_from_disk",
        "keras.models.load_model", "tensorflow.keras.models.load_model", "shutil.unpack_archive",
        "sentencepiece.SentencePieceProcessor", "scipy.sparse.load_npz", "os.path.getsize",
        "os.stat", "fasttext.load_model", "gensim.models.KeyedVectors.load_word2vec_format",
    ),
    **_rules(
        "lists", "os.listdir", "os.scandir", "os.chdir", "torchvision.datasets.ImageFolder",
        "torchvision.datasets.DatasetFolder", "keras.utils.image_dataset_from_directory",
        "tensorflow.keras.utils.image_dataset_from_directory",
        "keras.preprocessing.image_dataset_from_directory",
        "tensorflow.keras.preprocessing.image_dataset_from_directory",
    ),
    **_rules("matches", "glob.glob", "glob.iglob", "os.walk"),
    **_rules(
        "writes", "numpy.save", "numpy.savez", "numpy.savez_compressed", "numpy.savetxt",
        "cv2.imwrite", "imageio.imwrite", "imageio.imsave", "matplotlib.pyplot.savefig",
        "matplotlib.pyplot.imsave", "skimage.io.imsave", "soundfile.write", "sqlite3.connect",
        "logging.FileHandler", "scipy.io.savemat", "scipy.sparse.save_npz",
        "torchvision.utils.save_image",
    ),
    **_rules(
        "writes", "torch.save", "joblib.dump", "torch.jit.save", "safetensors.torch.save_file",
        "shutil.copy", "shutil.copyfile", "shutil.copy2", "urllib.request.urlretrieve", at=1,
    ),
    **_rules("makes", "os.makedirs"),
    **_rules("makes_one", "os.mkdir"),
    **_rules(
        "fills", "torch.utils.tensorboard.SummaryWriter", "tensorboardX.SummaryWriter",
        "transformers.TrainingArguments", "transformers.Seq2SeqTrainingArguments",
        "tempfile.mkdtemp",
    ),
    **_rules("fills", "shutil.copytree", "shutil.move", "os.rename", "os.replace", at=1),
}  # fmt: skip
#: What else the first argument of these is: the file they take from.
_SOURCES = frozenset({
    "shutil.copy", "shutil.copyfile", "shutil.copy2", "shutil.copytree", "shutil.move",
})  # fmt: skip
#: They are told by a mode what they do: name → position of the mode, the mode without one.
_MODED: Mapping[str, tuple[int, str]] = {
    "open": (1, "r"), "io.open": (1, "r"), "codecs.open": (1, "r"), "gzip.open": (1, "r"),
    "bz2.open": (1, "r"), "lzma.open": (1, "r"), "zipfile.ZipFile": (1, "r"),
    "tarfile.open": (1, "r"), "h5py.File": (1, "r"), "numpy.memmap": (2, "r+"),
}  # fmt: skip
#: Methods by their name alone, whatever the object is.
_METHODS: Mapping[str, Rule] = {
    **_rules(
        "writes", "to_csv", "to_parquet", "to_pickle", "to_excel", "to_feather", "to_json",
        "savefig", "write_csv", "write_parquet",
    ),
    **_rules("fills", "save_pretrained", "save_to_disk", "extractall"),
}  # fmt: skip
#: Methods of a path.
_PATH_METHODS: Mapping[str, Does] = {
    "read_text": "reads", "read_bytes": "reads", "iterdir": "lists", "glob": "matches",
    "rglob": "matches", "write_text": "writes", "write_bytes": "writes", "mkdir": "makes_one",
    "stat": "reads",
}  # fmt: skip
#: Of torchvision's data sets all others take `root`, and download into it where told to.
_TORCHVISION = "torchvision.datasets."
#: After one of these any file may be there.
_ANYTHING = frozenset({
    "os.system", "os.popen", "_nb_sh", "_nb_script", "_nb_run", "_nb_include", "_nb_lines",
    "gdown.download", "gdown.download_folder", "wget.download", "runpy.run_path", "exec",
    "huggingface_hub.snapshot_download", "huggingface_hub.hf_hub_download",
    "kagglehub.dataset_download",
    "torch.hub.download_url_to_file", "torchvision.datasets.utils.download_and_extract_archive",
    "torchvision.datasets.utils.download_url", "opendatasets.download",
})  # fmt: skip
_IMAGE_ENDS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
#: Given a path, they do nothing to the disk.
_HARMLESS = frozenset({
    "print", "str", "len", "repr", "isinstance", "set", "list", "sorted", "pathlib.Path",
    "pathlib.PurePath", "getattr", "setattr", "hasattr", "sys.path.append", "sys.path.insert",
    "argparse.ArgumentParser",
})  # fmt: skip
_HARMLESS_METHODS = frozenset({
    "add_argument", "join", "format", "append", "split", "startswith", "endswith", "exists",
    "isfile", "isdir", "get", "info", "debug", "warning", "joinpath", "basename", "dirname",
    "replace", "set_title", "log", "error", "with_suffix", "strip", "set_defaults", "is_file",
    "is_dir", "update", "index", "count", "plot", "title", "xlabel", "ylabel", "abspath",
    "realpath", "expanduser", "normpath", "splitext", "getenv", "set_xlabel", "set_ylabel",
    "drop", "groupby", "sort_values", "merge", "astype", "add_parser",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """One use of the disk that a script makes.

    Attributes:
        values: The path as far as it is known.
        makes_parents: Of a folder that is made: whether all around it is made too.
    """

    site: Site
    does: Does | Literal["anything", "perhaps"]
    values: Values
    makes_parents: bool = False


def uses(program: Program) -> list[Use]:
    """Everything the program does with files, in its order."""
    found: list[Use] = []
    for site in program.sites:
        if isinstance(site.node, ast.Call):
            if site.module is program.entry and not program.job.is_own(site.line):
                continue
            found += _of_call(program, site, site.node)
    return found


def _of_call(program: Program, site: Site, node: ast.Call) -> list[Use]:
    evaluator, scope = program.evaluator, site.scope
    dotted = evaluator.dotted(node.func, scope)

    def values(at: int, words: tuple[str, ...] = ()) -> Values | None:
        for keyword in node.keywords:
            if keyword.arg in words:
                return evaluator.value(keyword.value, scope)
        if at < len(node.args) and not isinstance(node.args[at], ast.Starred):
            return evaluator.value(node.args[at], scope)
        return None

    if dotted in _ANYTHING or dotted.startswith("subprocess."):
        return [Use(site, "anything", Values(()))]
    if dotted in _MODED:
        at, default = _MODED[dotted]
        told = values(at, ("mode",))
        mode = default if told is None else told.one
        path = values(0, _PATH_WORDS)
        if path is None or not isinstance(mode, str):
            return []
        return [Use(site, "writes" if mode[:1] in "wax" else "reads", path)]
    if dotted in _FUNCTIONS:
        rule = _FUNCTIONS[dotted]
        path = values(rule.at, (*rule.words, "log_dir", "output_dir", "dst"))
        found = [Use(site, rule.does, path, makes_parents=True)] if path is not None else []
        if dotted == "shutil.unpack_archive":
            here = values(1, ("extract_dir",)) or Values((".",))
            found.append(Use(site, "fills", here))
        if dotted in _SOURCES and (source := values(0, ("src",))) is not None:
            found.append(Use(site, "reads", source))
        return found
    if dotted.startswith(_TORCHVISION):
        return _torchvision(site, values(0, ("root",)), evaluator.value(_word(node, "download"),
                                                                        scope))  # fmt: skip
    if dotted == "logging.basicConfig":
        path = values(99, ("filename",))
        return [Use(site, "writes", path)] if path is not None else []
    if isinstance(node.func, ast.Attribute):
        found = _of_method(program, site, node, node.func, values(0, _PATH_WORDS))
        if found:
            return found
    return _perhaps(program, site, node, dotted)


def _word(node: ast.Call, name: str) -> ast.expr | None:
    return next((word.value for word in node.keywords if word.arg == name), None)


def _torchvision(site: Site, root: Values | None, download: Values) -> list[Use]:
    if root is None:
        return []
    if download.one is not UNKNOWN and not download.one:
        return [Use(site, "lists", root)]
    # Without `download` the data must be there; where it cannot be told, it is not asked for.
    is_told = isinstance(site.node, ast.Call) and _word(site.node, "download") is not None
    return [Use(site, "fills" if is_told else "lists", root)]


def _of_method(
    program: Program, site: Site, node: ast.Call, function: ast.Attribute, first: Values | None
) -> list[Use]:
    evaluator, scope = program.evaluator, site.scope
    name = function.attr
    if name in _PATH_METHODS or name == "open":
        base = evaluator.value(function.value, scope)
        if not any(isinstance(item, PathText) for item in base.items):
            if name in ("read_text", "read_bytes", "iterdir", "write_text"):
                return [Use(site, _PATH_METHODS[name], Values())]
            return []
        if name == "open":
            mode = first.one if first is not None else "r"
            writes = isinstance(mode, str) and mode[:1] in ("w", "a", "x")
            return [Use(site, "writes" if writes else "reads", base)]
        if name in ("glob", "rglob"):
            # Of a folder that is not there both give nothing.
            return [Use(site, "matches", base)]
        parents = evaluator.truth(_word(node, "parents") or ast.Constant(False), scope)
        return [Use(site, _PATH_METHODS[name], base, makes_parents=parents is not False)]
    if name == "extractall":
        first = first or Values((".",))
    if name in _METHODS and first is not None:
        return [Use(site, _METHODS[name].does, first)]
    if name == "save" and first is not None:
        texts = first.texts
        if texts and all(text.lower().endswith(_IMAGE_ENDS) for text in texts):
            return [Use(site, "writes", first)]
    return []


def _perhaps(program: Program, site: Site, node: ast.Call, dotted: str) -> list[Use]:
    """Texts handed to what is not known: what they name may be made there."""
    if dotted in _HARMLESS or dotted.startswith(("os.path.", "logging.")):
        return []
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name in _HARMLESS_METHODS:
        return []
    code = program.evaluator.local(node.func, site.scope)
    if code is not None and not (
        isinstance(code[0], Function) and hides_parameters(code[0], code[1])
    ):
        return []  # what it does with them stands in the script
    found = []
    for part in [*node.args, *(word.value for word in node.keywords)]:
        if isinstance(part, ast.Starred):
            continue
        values = program.evaluator.value(part, site.scope)
        texts = [text for text in values.texts if text.strip(HOLE) and "\n" not in text]
        if texts and (len(texts[0]) < 300):
            found.append(Use(site, "perhaps", values))
    return found
