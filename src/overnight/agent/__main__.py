"""``python -I …/overnight/agent [--stay | courier CHANNEL | mirror LANE | ping]``.

The agent, or one of its children: each imports what it needs and no more.
"""

import os
import sys


def main(words: list[str]) -> int:
    """Runs one of them."""
    os.umask(0o077)
    if words[:1] == ["ping"]:
        from overnight.agent.ping import ping

        return ping()
    if words[:1] == ["courier"]:
        add_user_site()
        from overnight.agent.courier import main as courier
        from overnight.supervisor.process import set_name

        set_name("ov-courier")
        return courier(words[1])
    if words[:1] == ["mirror"]:
        add_user_site()
        from overnight.agent.mirror import main as mirror
        from overnight.supervisor.process import set_name

        set_name("ov-mirror")
        return mirror(words[1])
    from overnight.agent.loop import main as agent

    return agent(words)


def add_user_site() -> None:
    """The libraries of a ``pip install --user``, which -I leaves out."""
    if sys.prefix == sys.base_prefix:
        import site

        folder = site.getusersitepackages()
        if os.path.isdir(folder):
            site.addsitedir(folder)


if __name__ == "__main__":
    # -I leaves out the folders of the person's; the package itself is two folders up.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.exit(main(sys.argv[1:]))
