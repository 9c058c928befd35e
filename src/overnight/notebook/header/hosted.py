"""Part of scripts from Colab and Kaggle notebooks: their modules, without their browser page."""

# ruff: noqa: T201
# This file runs inside scripts, not inside Overnight: it prints, and needs nothing but Python 3.9.
from __future__ import annotations

# -- embedded from here -------------------------------------------------------------------------
import os as _os
import sys as _sys
import typing as _t


class _NbNothing:
    """Stands for what only a browser page could do: every call of it does nothing."""

    def __getattr__(self, name: str) -> _t.Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: object, **kwargs: object) -> None:
        """Nothing."""


def _nb_secret(name: str, *args: object, **kwargs: object) -> str:
    """A secret of the page, from the environment."""
    if name not in _os.environ:
        raise KeyError(f"set the environment variable {name}")
    return _os.environ[name]


def _nb_login(name: str) -> None:
    """A login prompt: the library finds its token in the environment by itself."""
    print(f"[login not asked] {name} is used", flush=True)


class _NbFiles(_NbNothing):
    """``google.colab.files``."""

    def upload(self, *args: object, **kwargs: object) -> _t.Any:
        raise RuntimeError("files.upload() needs a browser page")

    def download(self, filename: _t.Any, *args: object, **kwargs: object) -> None:
        print(f"[not downloaded] {filename} stays where it is", flush=True)


class _NbUserdata(_NbNothing):
    """``google.colab.userdata``."""

    SecretNotFoundError = NotebookAccessError = KeyError
    get = staticmethod(_nb_secret)


class _NbSecrets(_NbNothing):
    """``kaggle_secrets.UserSecretsClient``."""

    get_secret = staticmethod(_nb_secret)


class _NbColab(_NbNothing):
    """``google.colab``."""

    files, userdata = _NbFiles(), _NbUserdata()

    @staticmethod
    def cv2_imshow(image: _t.Any) -> None:
        """Save the picture: OpenCV's own window needs a screen."""
        done, data = _sys.modules["cv2"].imencode(".png", image)
        if done:
            globals()["_nb_keep"](data.tobytes(), ".png")


class _NbGoogle(_NbNothing):
    """``google``, as far as Colab adds to it."""

    colab: _t.Any = _NbColab()


class _NbKaggle(_NbNothing):
    """``kaggle_secrets``."""

    UserSecretsClient = _NbSecrets


_nb_colab: _t.Any = _NbGoogle.colab
_nb_google, _nb_kaggle = _NbGoogle(), _NbKaggle()
