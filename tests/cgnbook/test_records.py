"""Records: reported numbers, the frame of finished runs, and its way to disk and back."""

import json
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from cgnbook import digits, records, reported
from cgnlib import experiments, runs
from cgnlib.errors import CGNError
from cgnlib.experiments import grid
from cgnlib.measures import decisions
from cgnlib.runs import results as artefacts

ENV = {"commit": "0a1b2c3d4e+", "device": "a CPU", "python": "3.12.0", "torch": "2.6.0"}
ENV |= {"seconds": 1.5, "finished": "2024-01-01T00:00:00+00:00"}
SAID = ["source", "claim", *records.COLUMNS]
ACCURACY = 0.1 + 0.2  # not a short decimal


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Runs and records of the test's own."""
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    (tmp_path / "records").mkdir()
    monkeypatch.setattr(records.paths, "records", lambda: tmp_path / "records")
    return tmp_path / "records"


def finish(run, **metrics):
    """A run as if it had been computed."""
    folder = runs.folder_of(run)
    folder.mkdir(parents=True)
    for name, content in (("spec", artefacts.full_spec(run)), ("env", ENV), ("metrics", metrics)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    runs.adopt(run)
    return runs.load(run)


def finish_classifier(run):
    return finish(
        run, train_images=4000, train_accuracy=1.0, test_images=1000, test_accuracy=ACCURACY
    )


def one(train_on):
    name = {"original": "original", "gan": "gan-g0", "original+cgn": "original-and-cgn-g0"}[
        train_on
    ]
    return experiments.find("mini", f"classifier-colored-{name}-s1")


def measured(run, metrics):
    """The result of a run that left numbers, and no spec."""
    result = runs.Result(run, runs.folder_of(run))
    result.folder.mkdir(parents=True)
    (result.folder / "metrics.json").write_text(json.dumps(metrics))
    (result.folder / "env.json").write_text(json.dumps(ENV))
    return result


def test_a_frame_has_a_row_for_each_metric_with_its_provenance():
    run = one("original+cgn")
    frame = records.frame([finish_classifier(run)], "claim-3-mnist")
    assert list(frame.columns) == SAID
    assert set(frame.source) == {"This run"} and set(frame.claim) == {"claim-3-mnist"}
    metrics = ["train_images", "train_accuracy", "test_images", "test_accuracy"]
    assert list(frame["metric"]) == metrics
    assert list(frame["value"]) == [4000, 1.0, 1000, ACCURACY]
    assert list(frame["unit"]) == ["images", "fraction", "images", "fraction"]
    assert list(frame["n"]) == [4000, 4000, 1000, 1000]
    shared = {"run": run.id, "variant": "colored", "train_on": "original+cgn", "seed": 1}
    shared |= {"generator": "trained-0", "profile": "mini", "spec": run.digest()} | ENV
    for column, value in shared.items():
        assert set(frame[column]) == {value}, column


@pytest.mark.parametrize("value", ["word", None, [1], {"a": 1}])
def test_what_is_no_number_is_named(value):
    run = one("original")
    result = finish(run, train_accuracy=value)
    with pytest.raises(
        CGNError, match=rf"{run.id} has what is no number .*run --profile mini {run.id}"
    ):
        records.frame([result])


def written_of(profile):
    """By path, the rows of what is written."""
    return {written.path: written.rows for written in records.write(profile)}


def test_the_records_of_set_sizes_say_which_set_and_how_many_passes(folder):
    for run in grid("mini", "set-size"):
        finish(run, train_images=run.set.size, test_accuracy=ACCURACY)
    written = written_of("mini")
    assert set(written) == {folder / f"{c}-mini.csv" for c in ("set-size", "claim-3-mnist")}
    frame = records.read("set-size", "mini")
    assert list(frame.columns) == [*SAID, "size", "per_shape", "epochs"]
    images = frame[frame.metric == "train_images"]
    assert images["size"].tolist() == images.value.tolist() and len(images) == 14
    row = frame[frame.run == "classifier-colored-cgn-g0-n4000-x10-s1"].iloc[0]
    assert (row["size"], row.per_shape, row.epochs) == (4000, 10, 1)
    assert list(records.read("claim-3-mnist", "mini").columns) == SAID


def test_the_rows_of_a_claim_are_its_runs(folder):
    one_claim = [finish_classifier(run) for run in grid("mini", "claim-3-mnist")]
    shared = {result.run.id for result in one_claim}
    others = [finish_classifier(r) for r in grid("mini", "set-size") if r.id not in shared]
    both = records.frame(one_claim + others)
    assert set(records.of_claim(both, "claim-3-mnist").run) == shared
    assert len(records.of_claim(both, "set-size")) == 4 * 14


@pytest.mark.parametrize(
    ("train_on", "generator"),
    [("original", ""), ("gan", "trained-0"), ("original+cgn", "trained-0")],
)
def test_the_generator_behind_a_classifier_is_named(train_on, generator):
    frame = records.frame([finish_classifier(one(train_on))])
    assert set(frame["generator"]) == {generator} and set(frame["train_on"]) == {train_on}


@pytest.fixture
def published():
    """The frame of an evaluation of a published CGN."""
    run = experiments.find("full", "evaluation-colored-published-s0")
    return records.frame([measured(run, {"mask_read": 0.5, "usable_digits": 7})])


def test_a_published_generator_is_named_so(published):
    assert set(published["generator"]) == {"published"}
    assert list(published["unit"]) == ["fraction", "digits"]


def test_runs_on_imagenet_say_which_loss_was_left_out():
    metrics = {"inception_score": 5.5, "inception_score_spread": 0.5, "class_read": 0.25}
    ids = ("quality-menagerie-texture-s0", "quality-menagerie-biggan-s0")
    frame = records.frame([measured(experiments.find("mini", run), metrics) for run in ids])
    assert list(frame["removed"]) == ["texture"] * 3 + ["biggan"] * 3
    assert list(frame["unit"]) == ["score", "score", "fraction"] * 2
    assert set(frame["n"]) == {1000} and set(frame["variant"]) == {"menagerie"}
    assert set(frame["train_on"]) == {""}


def test_a_classifier_is_named_after_the_losses_that_its_cgn_went_without():
    ids = ("robustness-menagerie-real-and-cgn-texture-g1-s1", "robustness-menagerie-real-s1")
    made = [measured(experiments.find("full", run), {"avg/bg_gap": 0.1}) for run in ids]
    frame = records.frame(made)
    assert list(frame["removed"]) == ["texture", ""]
    assert list(frame["generator"]) == ["trained-1", ""]


def test_runs_on_mnist_leave_no_loss_out():
    frame = records.frame([finish_classifier(one("gan"))])
    assert set(frame["removed"]) == {""}


def test_n_is_how_many_images_are_behind_a_measure(published):
    assert list(published["n"]) == [10_000, 10_000]


@pytest.mark.parametrize(
    ("profile_name", "claim", "run_id", "generator"),
    [
        ("full", "explanations", "explanation-wildlife-cgn-published-s0", "published"),
        ("full", "explanations", "explanation-wildlife-cgn-g2-s2", "trained-2"),
        ("full", "explanations", "explanation-wildlife-original-s0", ""),
        ("full", "claim-3-imagenet", "robustness-menagerie-real-and-cgn-none-g1-s1", "trained-1"),
        ("paper", "claim-3-imagenet", "robustness-imagenet-plain-s0", ""),
    ],
)
def test_the_generator_behind_a_run_is_found(profile_name, claim, run_id, generator):
    (run,) = [r for r in grid(profile_name, claim) if r.id == run_id]
    assert set(records.frame([measured(run, {"real_accuracy": 0.5})]).generator) == {generator}


def test_n_of_a_classifier_is_that_of_its_test(folder):
    (run, *_) = grid("mini", "claim-3-imagenet")
    counts = {"real_images": 7, "cue_conflict_images": 8, "mixed_rand_images": 9}
    measures = {"plain/real_top5": 0.5, "plain/shape_bias_low": 0.1, "plain/cue_shape": 0.2}
    measures |= {"plain/bg_gap": 0.3, "plain/mixed_rand": 0.4}
    made = records.frame([finish(run, **counts, **measures)]).set_index("metric")
    assert made.loc[list(measures), "n"].tolist() == [7, 8, 8, 9, 9]
    assert made.loc[list(counts), "unit"].unique() == ["images"]
    assert set(made["train_on"]) == {"plain"}


def test_decisions_are_kept_where_a_reader_may_lack_the_images(folder, monkeypatch):
    run = grid("full", "real-stimuli")[0]
    monkeypatch.setattr(artefacts, "checksums", lambda read: {})
    made = finish(run, cue_conflict_images=2)
    table = decisions.build("lite0", "cue_conflict", ["a1-b2.png", "c1-d2.png"], "ac", "ad")
    decisions.write(made.folder / "decisions.csv", table)
    written = written_of("full")
    assert written[records.decisions_of(run)] == 2
    kept = decisions.read(records.decisions_of(run))
    assert kept["object_response"].tolist() == ["a", "d"]


def test_no_runs_make_an_empty_frame():
    assert records.frame([]).empty and list(records.frame([]).columns) == SAID


@pytest.mark.parametrize("commit", ["0a1b2c3d4e+", "0123456789", "1234e56789"])
def test_what_is_written_is_read_again(commit, folder, monkeypatch):
    monkeypatch.setitem(ENV, "commit", commit)  # also where it looks like a number
    claims = {"claim-1-mnist": [], "claim-3-mnist": []}
    for run in grid("mini", "claim-1-mnist"):
        claims["claim-1-mnist"].append(finish(run, mask_read=1 / 3, usable_digits=9))
    for run in grid("mini", "claim-3-mnist")[::4]:
        claims["claim-3-mnist"].append(finish_classifier(run))
    done = {result.run.id for results in claims.values() for result in results}
    for claim in ("set-size", "lottery"):  # share some
        claims[claim] = [runs.load(r) for r in grid("mini", claim) if r.id in done]
    written = written_of("mini")
    assert written == {
        folder / f"{claim}-mini.csv": len(records.frame(results))
        for claim, results in claims.items()
    }
    assert {path.suffix for path in folder.iterdir()} == {".csv"}
    for claim, results in claims.items():
        pd.testing.assert_frame_equal(
            records.read(claim, "mini").assign(source="This run"),
            records.frame(results, claim),
            check_dtype=False,
            check_exact=True,
        )


def test_runs_that_are_not_done_have_no_rows(folder):
    assert list(records.write("mini")) == [] and not list(folder.iterdir())
    assert records.read("claim-3-mnist", "mini").empty
    assert list(records.read("claim-3-mnist", "mini").columns) == SAID


def test_rows_of_runs_on_another_machine_are_kept(folder):
    done = [finish_classifier(run) for run in grid("mini", "claim-3-mnist")[::3]]
    written = written_of("mini")
    path = folder / "claim-3-mnist-mini.csv"
    before = path.read_bytes()
    for result in done[1:]:  # the first is here, the others are elsewhere
        shutil.rmtree(result.folder)
    assert written_of("mini")[path] == written[path] == 4 * len(done)
    assert path.read_bytes() == before


def test_rows_of_another_spec_are_dropped(folder):
    run = one("original")
    other = replace(run, recipe=replace(run.recipe, lr=2.0))
    finish_classifier(grid("mini", "claim-3-mnist")[0])
    stale = records.frame([finish_classifier(other)])
    stale[records.COLUMNS].to_csv(folder / "claim-3-mnist-mini.csv", index=False)
    shutil.rmtree(runs.folder_of(other))
    (written,) = records.write("mini")
    assert (written.rows, written.lost) == (4, (other.id,)) and other.id not in set(
        records.read("claim-3-mnist", "mini")["run"]
    )


def test_rows_that_say_the_same_stay_with_their_dates(folder, monkeypatch):
    of_wildlife = [run for run in grid("mini", "claim-3-mnist") if run.variant == "wildlife"]
    done = [finish_classifier(run) for run in of_wildlife[:3]]
    (written,) = records.write("mini")
    before, changed = written.path.read_bytes(), written.path.stat().st_mtime_ns
    for result in done:  # computed again on another day, one of them with another number
        shutil.rmtree(result.folder)
    monkeypatch.setitem(ENV, "finished", "2025-01-01T00:00:00+00:00")
    finish_classifier(done[0].run)
    (again,) = records.write("mini")
    assert (again.path, again.rows) == (written.path, 12) and again.kept
    assert written.path.stat().st_mtime_ns == changed and written.path.read_bytes() == before
    shutil.rmtree(done[0].folder)
    for result in done[1:]:
        finish_classifier(result.run)
    finish(done[0].run, train_images=4000, train_accuracy=1.0, test_images=1000, test_accuracy=0.1)
    (again,) = records.write("mini")
    rows = records.read("claim-3-mnist", "mini")
    assert (again.rows, again.lost) == (12, ()) and again.path.read_bytes() != before
    assert set(rows.run[rows.finished.str.startswith("2025")]) == {done[0].run.id}


def test_nothing_is_written_where_a_run_is_damaged(folder):
    first, last = (grid("mini", claim)[0] for claim in ("claim-1-mnist", "disentanglement"))
    finish(first, mask_read=0.5), finish(last, disentanglement=0.5)
    (runs.folder_of(last) / "metrics.json").write_text("{}")
    with pytest.raises(CGNError, match=r"metrics\.json is not what was written"):
        list(records.write("mini"))
    assert not list(folder.iterdir())


def test_an_unknown_profile_has_no_records():
    with pytest.raises(CGNError, match="unknown profile"):
        list(records.write("tiny"))


# --- reported numbers


@pytest.fixture
def tracked(monkeypatch):
    """The book's own reported.csv."""
    monkeypatch.setattr(records.paths, "records", lambda: records.paths.ROOT / "book" / "records")


def test_reported_numbers_are_selected_by_table_and_column(tracked):
    rows = reported.table("mnist-classification", metric="test_accuracy", source="paper")
    assert list(rows.columns) == reported.REPORTED
    assert set(rows["table"]) == {"mnist-classification"} and set(rows["source"]) == {"paper"}
    row = rows[(rows.row == "original+cgn") & (rows.column == "colored")]
    assert [float(v) for v in row.value] == [95.1]


@pytest.mark.parametrize("fixed", [{}, {"metric": "test_accuracy"}])
def test_an_unknown_table_is_an_error(fixed, tracked):
    with pytest.raises(CGNError, match="no rows for table 'mnist'"):
        reported.table("mnist", **fixed)


def test_a_selection_without_rows_is_an_error(tracked):
    with pytest.raises(CGNError, match="nobody"):
        reported.table("mnist-classification", source="nobody")


def call(name):
    return reported.table("t") if name == "reported" else records.read("claim-3-mnist", "mini")


PATHS = {"reported": "reported.csv", "read": "claim-3-mnist-mini.csv"}


@pytest.mark.parametrize("name", PATHS)
def test_a_missing_column_is_named(name, folder):
    columns = {"reported": reported.REPORTED, "read": records.COLUMNS}[name]
    for column in columns:
        kept = [c for c in columns if c != column]
        pd.DataFrame([["t"] * len(kept)], columns=kept).to_csv(folder / PATHS[name], index=False)
        with pytest.raises(CGNError, match=rf"{re.escape(PATHS[name])} lacks .*'{column}'"):
            call(name)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00\x01", b"a,b\n1,2\n1,2,3,4\n"], ids=["empty", "bytes", "ragged"]
)
def test_a_broken_file_is_named_and_left_alone(name, content, folder):
    path = folder / PATHS[name]
    path.write_bytes(content)
    with pytest.raises(CGNError, match=re.escape(str(path))) as error:
        call(name)
    assert "\n" not in str(error.value) and path.read_bytes() == content


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("value", ["", "word", "=1+1"])
def test_a_value_that_is_none_is_named(value, name, folder):
    columns = {"reported": reported.REPORTED, "read": records.COLUMNS}[name]
    row = ["t" if column != "value" else value for column in columns]
    pd.DataFrame([row], columns=columns).to_csv(folder / PATHS[name], index=False)
    with pytest.raises(CGNError, match=rf"{re.escape(PATHS[name])} cannot be read .*: restore it"):
        call(name)


def test_missing_reported_numbers_are_named(folder):
    with pytest.raises(CGNError, match=r"reported\.csv cannot be read"):
        reported.table("mnist-classification")


def test_verdicts_count_the_runs_of_their_claim_alone(folder):
    """Other claims train classifiers on counterfactuals, too, of other sets."""
    claim = [finish_classifier(run) for run in grid("mini", "claim-3-mnist")]
    ids = {result.run.id for result in claim}
    others = [finish(r, test_accuracy=0.0) for r in grid("mini", "set-size") if r.id not in ids]
    alone = digits.accuracies(records.frame(claim), "trained")
    assert len(others) == 12 and alone["colored"]["cgn"] == [ACCURACY] * 2
    of_claim = records.of_claim(records.frame(claim + others), "claim-3-mnist")
    assert digits.accuracies(of_claim, "trained") == alone


def test_a_record_that_a_page_needs_and_that_is_not_there_names_its_command(folder):
    with pytest.raises(CGNError, match=r"run --profile full union, then .* record"):
        records.needed("union", "full")
    with pytest.raises(CGNError, match="restore it with git checkout"):
        reported.as_printed("inconsistencies.csv", ["id"])
