"""Reading: `read_ratings`."""

from __future__ import annotations

import sys
from os import PathLike
from pathlib import Path

from fastautorec._checks import check_bool, check_choice, kind
from fastautorec._types import Ids
from fastautorec.data import _files as files
from fastautorec.data import _loading
from fastautorec.data._interactions import Interactions
from fastautorec.data._layouts import FORMATS
from fastautorec.data._missing import RAISE
from fastautorec.data._repeats import LAST
from fastautorec.data._roles import Words


def read_ratings(
    path: str | PathLike[str],
    format: str = "auto",  # noqa: A002
    threshold: float | None = None,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | bool | None = None,
    timestamp: str | int | bool | None = None,
    weights: str | int | None = None,
    sep: str | None = None,
    header: bool | None = None,
    items: Ids | None = None,
    repeats: str = LAST,
    missing: str = RAISE,
    verbose: bool = True,
) -> Interactions:
    r"""Read a rating file.

    The layout is found from the file itself where it is clear; where it is not, the file is refused, and the message
    has the arguments to pass. What was taken, and which columns were not, is printed.

    Without ``threshold`` every row counts as positive: also a rating of 1 star, a dislike or a rating of 0.

    Text files are read by polars where it is installed (``pip install 'fastautorec[data]'``): tens of millions of
    lines in seconds. Without it a reader in plain Python does the same, at some seconds per million lines.

    Parameters
    ----------
    path : str or path
        A file, of which text may be packed by gzip; for Parquet also a folder of parts (``*.parquet``, ``*.parq`` or
        ``*.pq``), in folders such as ``year=2024`` or not; for the Netflix Prize also the folder of its
        ``mv_*.txt`` or ``combined_data_*.txt`` files. Parts may have more
        columns than others, but the same ones for user, item, rating, time and weights. Several other files that are
        one data set: ``far.Interactions.open(far.distributed.shard(files, new_folder, n_shards=1)[0])``.
    format : str
        ``"auto"`` tells the format from the file. The others say what to expect:

        - ``"csv"``, ``"tsv"``: columns with a header that names them, or without one user, item[, rating[, timestamp]]
          in this order; where the first lines do not look like it, the columns are asked for
        - ``"lists"``: lines ``user item item ...`` separated by blanks; users without items are kept
        - ``"movielens"``: ``u.data`` (tab), ``ratings.dat`` (``::``) or ``ratings.csv``
        - ``"goodbooks"``: ``ratings.csv`` of Goodbooks-10k
        - ``"netflix"``: lines ``movie:`` followed by lines ``user,rating,date``
        - ``"yahoo"``: Yahoo! R1 (user, item, rating 0 to 100, tab)
        - ``"parquet"``: columns named as in a csv header

        A rating of 255 is Yahoo!'s "never play again" with ``"yahoo"``, and beside whole numbers up to 100 in a file
        that names no columns: such rows are left out.
    threshold : float, optional
        A rating >= ``threshold`` is positive; lower ones are left out, and so are users and items without any
        positive one. Without it every row of the file is positive, whatever its rating. ``True`` and ``False`` are the
        ratings 1 and 0.
    user, item, rating, timestamp : str or int, optional
        Name or position, from 0, of the column of each. Those that are given are taken as they are; the others are
        looked for by name: users and items by what the name is about (user_id, customer, member_no, Kundennummer;
        item, movieId, sku, isbn, Artikelnr, ...), ratings and times by known names only (rating, score, stars, overall,
        ...; timestamp, date, time, created_at, order_date, ...), for an average rating or a release date is none. Two
        names for one role are refused, unless one is a plain id (item_id beside sku) or the other a mere property (a
        title, a session). Where nothing but such a property is named, and a column of an unknown name may hold the ids,
        they are asked for, and so is a ``movie_rating`` that may be an average. False for ``rating`` or ``timestamp``
        says that there is none.
    weights : str or int, optional
        Name or position of a column of numbers above 0: how much each row counts, such as plays; they become the
        ``weights`` of the interactions. Those of a pair that occurs several times are added up. No column is taken for
        weights by its name. Rows that ``threshold`` leaves out may have any number. Where ``rating`` is to be the same
        column, say both. Files of the formats ``"lists"`` and ``"netflix"`` have no such column.
    sep : str, optional
        What separates fields; ``" "`` stands for any run of blanks. Quotation marks mean what they do in csv, but
        nothing where ``sep`` is a tab, blanks, ``"|"`` or ``"::"``: there a file with columns in quotation marks is
        refused. Where it is given, a quoted text may have lines that look like rows.
    header : bool, optional
        Whether the first line names the columns. Above numbers and dates its texts do; above texts alone it is data
        where one of its texts comes again in the column, or has the form of the others there, such as u1 above u2;
        else the question is left to the caller.
    items : array of integers or strings (n,), optional
        Ids that number the columns, such as ``train.item_ids`` where ``path`` is the test part of ready-made data, or
        the ``item_ids_`` of a model. Other items are left out.
    repeats : {"last", "first"}
        At which time a pair counts that comes several times. By the first one, what a user has again is not taken for
        new where data are cut by time (`split`, `rolling`, `select`, the models that hold out what is latest). "first"
        needs timestamps. Rows that ``threshold`` leaves out do not count.
    missing : {"raise", "drop"}
        What to do with rows that have no user, item, rating, time or weight, as far as there are such columns: refuse
        them, or leave them out. A missing value is null, NaN, an empty field, or among ratings, times and weights a
        text such as ``NA`` or ``NULL``. Among ids such a text may be one: see below.
    verbose : bool
        Print two lines to standard error: what was taken for what, and what the data hold.

    Returns
    -------
    Interactions
        A column of ids is int64 if each of them is an integer as it would be printed, else all are strings: 007 is no
        integer. Both ascending. Blanks around a field of a text file are ignored, those of Parquet are part of it.
        Texts that hold a list in each row are refused. A pair that occurs several times counts once, at the
        time that ``repeats`` says and with the sum of its weights. Times are numbers, which stay as they are, or dates
        in the forms of ISO 8601, such as 2024-02-01, 2024-02-01 08:30:00 or 2024-02-01T08:30:00+02:00, which become
        seconds since 1970; not both in one file, nor plainly seconds beside milliseconds. The method ``describe`` tells
        what was read and how.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RatingsFileError
        For an empty or unreadable file, a malformed line (the message gives file, line number and line), or one of
        which the columns, the separator or the header are not clear (the message has the arguments to pass).
    TypeError, ValueError
        For an unknown format, a column that is not there, ``threshold`` with a file that has no ratings, or a
        ``threshold`` or ``items`` that leaves nothing.
    ImportError
        For Parquet where neither polars nor pyarrow is installed.

    Warns
    -----
    UserWarning
        For a text among the ids that may stand for no value, such as ``nan``, ``NULL`` or ``-``: how many rows have it,
        and the first line. Where all other ids are integers, it is refused. For an id that also occurs in quotation
        marks, where these are part of it. For ids that are all texts such as ``1.0``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from fastautorec.data import read_ratings
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "ratings.csv")
    ...     _ = path.write_text("userId,movieId,rating,timestamp\n1,10,4.5,100\n1,20,3,101\n2,10,4,102\n")
    ...     data = read_ratings(path, threshold=4)
    >>> data
    Interactions(2 users, 1 items, 2 interactions, density 100 %)
    >>> print(*data.describe().lines(), sep="\n")
    ratings.csv: text, separated by ',', 4 columns: userId → user, ... timestamp → timestamp (by name)
    2 users, 1 items, 2 interactions, times 100 to 102; 1 rows left out for ratings below 4

    Columns of other names:

    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "sold.csv")
    ...     _ = path.write_text("cart;ware;pieces\nA7;tea;2\nA9;salt;1\n")
    ...     data = read_ratings(path, user="cart", item="ware", weights="pieces")
    >>> data.user_ids.tolist(), data.weights.tolist()
    (['A7', 'A9'], [2.0, 1.0])
    """
    check_choice("format", format, FORMATS)
    check_bool("verbose", verbose)
    if isinstance(path, (list, tuple)):
        raise TypeError(f"`path` must name one file, got {kind(path)}; {files.joined('FILES')}")
    if not isinstance(path, (str, PathLike)):
        raise TypeError(
            f"`path` must name a file, got {type(path).__module__.split('.')[0]}.{type(path).__name__}; of a table in "
            "memory, Interactions.from_dataframe(table, user=..., item=...) makes interactions"
        )
    words = Words(user, item, rating, timestamp, sep, header, weights, repeats, missing)
    data = _loading.load(Path(path), format, threshold, words, items)
    if verbose:
        sys.stderr.write("".join(f"{line}\n" for line in data.describe().lines()))
    return data
