import csv
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from few_books import error_of

import fastautorec as far
from fastautorec.cli import _doctor as doctor
from fastautorec.cli import _files as files
from fastautorec.cli import _main as cli
from fastautorec.cli import _options as options
from fastautorec.cli import main

N_USERS, N_ITEMS = 120, 60


@pytest.fixture(scope="module")
def ratings():
    """Lines of a csv file with header: string item ids, times, ratings 1 to 5."""
    matrix = far.datasets.synthetic(N_USERS, N_ITEMS, 2400, random_state=3).tocoo()
    rng = np.random.default_rng(0)
    stars = rng.integers(1, 6, matrix.nnz)
    times = rng.permutation(matrix.nnz)
    rows = zip(matrix.row.tolist(), matrix.col.tolist(), stars.tolist(), times.tolist(), strict=True)
    return ["user,item,rating,timestamp", *(f"{u},item{i:02},{s},{t}" for u, i, s, t in rows)]


@pytest.fixture
def file(tmp_path, ratings):
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(ratings) + "\n")
    return path


@pytest.fixture
def model(tmp_path, file, capsys):
    path = tmp_path / "model.npz"
    assert main(["fit", str(file), "--output", str(path), "--set", "factors=16"]) == 0
    capsys.readouterr()
    return path


# --- fit ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(cli.MODELS))
def test_fit_writes_a_model_of_each_kind(name, file, tmp_path, capsys):
    if name == "wrmf":
        pytest.importorskip("implicit", reason="implicit is not installed")
    path = tmp_path / "model.npz"
    settings = ["--set", "factors=8"] if name in ("nce-autorec", "nce-plrec", "pure-svd", "wrmf") else []
    settings += ["--set", "regularization=1"] if name == "wrmf" else []  # the data is small
    assert main(["fit", str(file), "--output", str(path), "--model", name, *settings]) == 0
    fitted = far.load(path)
    assert type(fitted) is cli.MODELS[name]
    assert fitted.item_ids_[0] == "item00"
    out, err = capsys.readouterr()
    assert str(path) in out
    assert "120 users" in err


def test_every_model_of_the_library_can_be_asked_for():
    assert {cls.__name__ for cls in cli.MODELS.values()} == {*far.models.__all__, "WRMF"} - {"Recommender"}


def test_fit_settings_threshold_and_format(file, tmp_path, capsys):
    path = tmp_path / "model.npz"
    words = ["--set", "factors=6", "activation=tanh", "--set", "normalize=None", "--threshold", "4", "--format", "csv"]
    assert main(["fit", str(file), "--output", str(path), *words]) == 0
    fitted = far.load(path)
    assert (fitted.factors, fitted.activation, fitted.normalize) == (6, "tanh", None)
    kept = far.read_ratings(file, threshold=4).nnz
    assert f"{kept:,} interactions" in capsys.readouterr().err


def test_fit_chooses_among_several_regularizations(file, tmp_path, capsys):
    path = tmp_path / "model.npz"
    assert main(["fit", str(file), "--output", str(path), "--set", "factors=8", "regularization=0.01,0.1,1000"]) == 0
    assert far.load(path).regularization in (0.01, 0.1, 1000)
    assert "best on validation data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["factor=8"], "NCEAutoRec has no parameter 'factor'"),
        (["factors=many"], "`factors` must be an integer"),
        (["dropout=1.5"], "`dropout` must be"),
        (["device=cuda"], "cuda"),
        (["factors=5000"], "factors"),
    ],
)
def test_fit_refuses_bad_parameters(settings, message, file, tmp_path, capsys):
    path = tmp_path / "model.npz"
    assert message in error_of(capsys, "fit", file, "--output", path, "--set", *settings)
    assert not path.exists()


def test_fit_checks_the_output_before_it_works(file, tmp_path, capsys):
    assert "no folder" in error_of(capsys, "fit", file, "--output", tmp_path / "absent" / "model.npz")
    assert "cannot write" in error_of(capsys, "fit", file, "--output", tmp_path)


def test_a_setting_needs_an_equals_sign(file, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", str(file), "--output", "model.npz", "--set", "factors"])
    assert stop.value.code == 2
    assert "name=value" in capsys.readouterr().err


# --- files that are not what they should be ----------------------------------------------------------------------


def test_absent_and_malformed_files(tmp_path, capsys):
    assert "absent.csv" in error_of(capsys, "evaluate", tmp_path / "absent.csv")
    bad = tmp_path / "bad.csv"
    bad.write_text("1,10,5,100\n1,20\n")
    assert "line 2" in error_of(capsys, "evaluate", bad)
    assert "folder" in error_of(capsys, "evaluate", tmp_path, "--format", "csv")


def test_a_model_file_that_is_none(file, tmp_path, capsys):
    message = error_of(capsys, "recommend", file, "--model", file)
    assert "is not a fastautorec model file: it is a text file that begins with 'user,item,rating,timestamp'" in message
    assert "no model file" in error_of(capsys, "recommend", file, "--model", tmp_path / "absent.npz")


# --- recommend ---------------------------------------------------------------------------------------------------


def test_recommend_agrees_with_the_library(file, model, capsys):
    assert main(["recommend", str(file), "--model", str(model), "-n", "4"]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    data, fitted = far.read_ratings(file), far.load(model)
    ids, scores = fitted.recommend(data, N=4)
    assert [row["item"] for row in rows] == data.item_ids[ids.ravel()].tolist()
    assert [int(row["user"]) for row in rows] == np.repeat(data.user_ids, 4).tolist()
    assert [row["rank"] for row in rows[:4]] == ["1", "2", "3", "4"]
    np.testing.assert_allclose([float(row["score"]) for row in rows], scores.ravel(), rtol=1e-5)
    assert "skipped" not in err


def test_recommend_chosen_users_as_a_table(file, model, capsys):
    assert (
        main(["recommend", str(file), "--model", str(model), "-n", "2", "--users", "7", "3", "--format", "table"]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[3]] == ["7", "3"]
    assert lines[1].startswith("    1. item")
    assert len(lines) == 6


def test_recommend_for_other_users_skips_and_counts_unknown_items(tmp_path, model, capsys):
    other = tmp_path / "other.csv"
    other.write_text("user,item\nann,item01\nann,novelty\nann,item02\nbob,novelty\n")
    assert main(["recommend", str(other), "--model", str(model), "-n", "3"]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["user"] for row in rows} == {"ann"}
    assert not {row["item"] for row in rows} & {"item01", "item02"}
    assert "skipped 2 of 4 interactions, with 1 items" in err
    assert "left out 1 users" in err


def test_recommend_leaves_no_rows_for_free_places(file, model, capsys):
    assert main(["recommend", str(file), "--model", str(model), "-n", str(N_ITEMS), "--users", "5"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    data = far.read_ratings(file)
    assert len(rows) == data.shape[1] - data.user_items[data.user_index(5)].nnz


def test_recommend_matches_integer_ids_with_textual_ones(tmp_path, capsys):
    first, second, path = tmp_path / "first.csv", tmp_path / "second.csv", tmp_path / "model.npz"
    first.write_text("user,item\n" + "".join(f"u{u},{i}\n" for u in range(9) for i in (u, (u + 1) % 9, 9)))
    second.write_text("user,item\nv,3\nv,4\nv,x\n")
    assert main(["fit", str(first), "--output", str(path), "--model", "popularity"]) == 0
    assert main(["recommend", str(second), "--model", str(path), "-n", "1"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("v,1,9,")
    assert "skipped 1 of 3" in err


def test_recommend_without_item_ids_takes_column_numbers(tmp_path, capsys):
    path, histories = tmp_path / "model.npz", tmp_path / "histories.csv"
    far.Popularity().fit(far.datasets.synthetic(50, 20, 400)).save(path)
    histories.write_text("1,0\n1,19\n1,20\n")
    assert main(["recommend", str(histories), "--model", str(path), "-n", "20"]) == 0
    out, err = capsys.readouterr()
    assert {int(line.split(",")[2]) for line in out.splitlines()[1:]} == set(range(1, 19))
    assert "skipped 1 of 3" in err


def test_recommend_refuses_unknown_users_and_lengths(file, model, capsys):
    message = error_of(capsys, "recommend", file, "--model", model, "--users", "7", "3", "7")
    assert "`users` must be distinct, got 7 more than once" in message
    message = error_of(capsys, "recommend", file, "--model", model, "--users", "999")
    assert message.endswith("no user 999 among the 120 in the data")
    assert "the user ids are integers" in error_of(capsys, "recommend", file, "--model", model, "--users", "ann")
    assert "`-n` must be between 1 and" in error_of(capsys, "recommend", file, "--model", model, "-n", "0")


# --- evaluate ----------------------------------------------------------------------------------------------------


def test_evaluate_agrees_with_the_library(file, capsys):
    assert main(["evaluate", str(file), "--set", "factors=8", "-k", "5", "10"]) == 0
    out = capsys.readouterr().out
    train, test = far.split(far.read_ratings(file), (0.7, 0.3), by="time")
    report = far.evaluate(far.NCEAutoRec(factors=8).fit(train), train, test, k=(5, 10))
    assert str(report) in out
    assert "(time split)" in out


def test_the_split_for_the_test_leaves_train_and_validation_together(file):
    data = far.read_ratings(file)
    train, validation, test = far.split(data, options.TEST_RATIOS, by="random", random_state=5)
    history, rest = far.split(data, (0.7, 0.3), by="random", random_state=5)
    assert (history.user_items != train.user_items + validation.user_items).nnz == 0
    assert (rest.user_items != test.user_items).nnz == 0


def test_evaluate_with_baselines_at_random_by_the_paper(file, capsys):
    words = ["--model", "nce-plrec", "--set", "factors=8", "regularization=0.1,1", "--by", "random", "--baselines"]
    assert main(["evaluate", str(file), *words, "--definition", "paper", "-k", "5"]) == 0
    out, err = capsys.readouterr()
    assert "best on validation data" in err
    assert '"paper" definition' in out
    assert "nce-plrec minus pure-svd" in out
    assert "nce-plrec minus popularity" in out
    assert "Recall@5" in out


def test_baselines_fit_into_small_data(tmp_path, capsys):
    path = tmp_path / "small.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(20) for i in range(u % 3, 12, 2)))
    assert main(["evaluate", str(path), "--model", "popularity", "--baselines"]) == 0
    assert "popularity minus pure-svd" in capsys.readouterr().out


def test_evaluate_needs_times_for_a_split_by_time(tmp_path, capsys):
    path = tmp_path / "plain.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(20) for i in range(u % 3, 12, 2)))
    assert "needs timestamps" in error_of(capsys, "evaluate", path, "--model", "popularity", "--by", "time")
    assert main(["evaluate", str(path), "--model", "popularity"]) == 0  # lists no longer than the 12 items
    out = capsys.readouterr().out
    assert "(random split)" in out
    assert "@10" in out
    assert "@20" not in out


def test_ease_chooses_among_several_regularizations(file, capsys):
    assert main(["evaluate", str(file), "--model", "ease", "--set", "regularization=1,200"]) == 0
    assert "is best on validation data" in "".join(capsys.readouterr())


# --- doctor, help and the end of a run ---------------------------------------------------------------------------


def test_doctor_as_a_module():
    command = [sys.executable, "-m", "fastautorec", "doctor"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    for word in ("numpy", "scipy", "BLAS", "threads", "SIMD", "GPU", "not available", "self-check", "passed"):
        assert word in run.stdout


def test_doctor_tells_where_the_number_of_threads_comes_from(monkeypatch, capsys):
    monkeypatch.setenv("FASTAUTOREC_NUM_THREADS", "3")
    assert main(["doctor"]) == 0
    assert "3, set by FASTAUTOREC_NUM_THREADS" in capsys.readouterr().out
    monkeypatch.setenv("FASTAUTOREC_NUM_THREADS", "three")
    assert main(["doctor"]) == 1
    assert "must be an integer >= 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("`device` is 'cuda', which needs CuPy, and it is not installed: X; or use device='cpu'",
         "not available: needs CuPy, and it is not installed: X"),
        ("`device` is 'cuda', but this machine has no NVIDIA driver; install it (on Y), or use device='cpu'",
         "not available: this machine has no NVIDIA driver; install it (on Y)"),
        ("the NVIDIA driver knows CUDA 12; update the driver",
         "not available: the NVIDIA driver knows CUDA 12; update the driver"),
    ],
)  # fmt: skip
def test_doctor_does_not_speak_of_a_device_that_was_not_set(error, line, monkeypatch):
    def unavailable(device):
        raise far.exceptions.BackendUnavailableError(error)

    monkeypatch.setattr(doctor, "get_backend", unavailable)
    assert doctor._gpu() == line


def test_doctor_without_a_gpu_does_not_name_the_parameter():
    assert "`device`" not in doctor._gpu()


def test_doctor_reports_a_core_that_cannot_be_loaded(monkeypatch, capsys):
    def broken():
        raise ImportError("wrong architecture")

    monkeypatch.setattr("fastautorec.cli._doctor.simd_level", broken)
    main(["doctor"])
    out = capsys.readouterr().out
    assert "cannot be loaded: wrong architecture" in out


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["fit", "--help"], ["recommend", "--help"]])
def test_help_and_version(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 0
    assert "fastautorec" in capsys.readouterr().out


def test_no_command_is_an_error(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_interruption_prints_a_line(file, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "read_ratings", interrupt)
    assert main(["evaluate", str(file)]) == 130
    assert capsys.readouterr().err == "fastautorec: interrupted\n"


def test_other_failures_of_the_machine(file, monkeypatch, capsys):
    def fail(*_, **__):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr(files, "read_ratings", fail)
    assert "not enough memory: Unable to allocate 3 TiB" in error_of(capsys, "evaluate", file)


def test_our_own_mistakes_are_not_hidden(file, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a bug")

    monkeypatch.setattr(files, "read_ratings", fail)
    with pytest.raises(AssertionError):
        main(["evaluate", str(file)])


@pytest.mark.skipif(os.name != "posix", reason="pipes of another kind")
def test_a_reader_that_leaves_is_no_error(file, model):
    command = [sys.executable, "-m", "fastautorec", "recommend", str(file), "--model", str(model), "-n", "40"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    error = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=120) == 141
    assert "rror" not in error
