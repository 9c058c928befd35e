"""The report: what a run came to, as one page that needs nothing else.

It reads the ledger and nothing else, with Jinja2 and the standard library. The page holds its
style, its pictures and its curves; there is no script in it, and its own policy forbids any.

    gather     a run's folder → Story
    words      what happened, in sentences
    curves     logged numbers → lines
    charts     lines, bars, a matrix … → SVG
    pictures   kept pictures → as small as the page can bear
    page       all of it → HTML
"""
