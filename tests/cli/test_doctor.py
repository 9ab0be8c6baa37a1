"""``spikesim doctor``: over a few kernels, right and wrong ones, and what it does when things are missing."""

import functools
import json
import os
import signal

import pytest
import torch

from spikesim.cli import doctor_bandwidth, doctor_checks, doctor_machine
from spikesim.cli.doctor_journal import Journal, software
from spikesim.cli.doctor_result import Result
from spikesim.cli.doctor_workers import Died, spread
from spikesim.dynamics import equivalence_cover
from spikesim.dynamics.equivalence_cover import Case
from spikesim.neurons import IF

FEW = ["--neuron", "IF", "--dtype", "float32", "--jobs", "1"]  # four comparisons
CASE = Case("IF", "zero", "float32", "forward", "cpu", "-", "-")


@pytest.fixture(autouse=True)
def _small_bandwidth(monkeypatch):
    monkeypatch.setattr(doctor_bandwidth, "bandwidth", functools.partial(doctor_bandwidth.bandwidth, neurons=4096))
    monkeypatch.setattr(doctor_bandwidth, "ROUNDS", 1)


@pytest.fixture
def one_case(monkeypatch):
    """Compare a single forward kernel."""
    monkeypatch.setattr(doctor_checks, "cover", lambda *_: [CASE])


def test_json_says_what_was_compared_and_nothing_else(spikesim, tmp_path):
    code, out, _ = spikesim("doctor", *FEW, "--json", "--output", tmp_path / "sub" / "doctor.json")
    report = json.loads(out)
    assert code == 0 and report["schema"] == 1 and report["passed"] is True and report["problems"] == []
    assert json.loads((tmp_path / "sub" / "doctor.json").read_text()) == report
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["doctor.json"]
    assert report["versions"]["torch"] == torch.__version__ and "norse" in report["versions"]
    assert report["backends"]["cpu"]["threading_layer"] in ("omp", "tbb", "workqueue", None)
    assert report["backends"]["cuda"]["kernels"] or report["backends"]["cuda"]["reason"]
    assert report["allocator"]["malloc"] is None or "/" not in report["allocator"]["malloc"]
    equivalence = report["equivalence"]
    assert equivalence["compared"] == len(equivalence["cases"]) and equivalence["failed"] == 0
    assert {c["reset"] for c in equivalence["cases"]} == {"subtract", "zero", "value", "none"}
    assert {c["memory"] for c in equivalence["cases"]} == {"-", "keep", "recompute"}
    for case in equivalence["cases"]:
        assert case["passed"] and max(*case["single"].values(), *case["run"].values()) < case["tolerance"]
        assert case["compared"] == 64 and case["fired"] > 0.1
    assert all(m["copy_gb_s"] > 0 for b in report["bandwidth"] for m in (b["fresh"], b.get("kept", b["fresh"])))
    assert report["threads_agree"] is True


def test_tables_say_the_same(spikesim):
    code, out, _ = spikesim("doctor", *FEW)
    assert code == 0 and "numba" in out and "kernel cache" in out and "glibc" in out
    row = next(line for line in out.splitlines() if line.split()[:1] == ["IF"])
    passed, compared = row.split()[1].split("/")
    assert passed == compared and f"{compared} comparisons cover every pair" in out
    code, out, _ = spikesim("doctor", *FEW, "--verbose")
    assert code == 0 and out.count(" passed") == int(compared)
    assert "IF reset=zero float32 forward cpu" in out or "IF reset=zero float32 backward cpu keep" in out


@pytest.fixture
def broken(monkeypatch):
    """The kernels of one reset are those of another."""
    right = equivalence_cover.build

    def build(subject, case):
        neuron = right(subject, case)
        if case.reset == "zero":
            neuron._text = IF(reset="none").program_text()
        return neuron

    monkeypatch.setattr(equivalence_cover, "build", build)


def test_a_wrong_kernel_is_shown_in_full_and_exits_with_3(spikesim, broken, one_case, tmp_path):
    code, out, error = spikesim("doctor", "--jobs", "1", "--output", tmp_path / "report.json")
    assert code == 3
    assert "IF reset=zero float32 forward cpu, surrogates -: values of single steps deviate by" in out
    assert "error: 1 of 1 comparisons of kernels with their equations failed" in error
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"] is False and report["equivalence"]["failed"] == 1
    assert [c["problem"] is None for c in report["equivalence"]["cases"]] == [False]


def test_an_exception_in_a_comparison_is_a_failure(spikesim, one_case, monkeypatch):
    def check(subject, case):
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(doctor_checks, "check", check)
    code, out, _ = spikesim("doctor", "--jobs", "1")
    assert code == 3 and "RuntimeError: no such instruction" in out


def test_threads_that_disagree_are_a_failure(spikesim, one_case, monkeypatch):
    monkeypatch.setattr(doctor_bandwidth, "threads_agree", lambda: False)
    code, out, error = spikesim("doctor", "--jobs", "1", "--json")
    assert code == 3 and "one thread and several give different results" in error
    assert json.loads(out)["threads_agree"] is False


def test_a_neuron_that_cannot_be_built_is_a_failure(spikesim, one_case, monkeypatch):
    found, _ = doctor_checks.subjects()
    monkeypatch.setattr(doctor_checks, "subjects", lambda: (found, {"XIF": "it has no step"}))
    code, _, error = spikesim("doctor", "--jobs", "1")
    assert code == 3 and "XIF cannot be built: it has no step" in error


@pytest.mark.usefixtures("reference_path")
def test_without_kernels_it_says_that_nothing_was_compared(spikesim):
    code, out, _ = spikesim("doctor")
    assert code == 0 and "off: SPIKESIM_DISABLE_JIT=1" in out and "Nothing was compared" in out
    code, out, _ = spikesim("doctor", "--json")
    report = json.loads(out)
    assert code == 0 and report["passed"] is None and report["equivalence"] is None and report["kernels_off"]


def test_a_cache_that_cannot_be_written_is_named(spikesim, one_case, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIKESIM_CACHE_DIR", str(tmp_path / "file"))
    code, out, _ = spikesim("doctor", "--jobs", "1")
    assert code == 0 and "cannot be written (Not a directory)" in out and "SPIKESIM_CACHE_DIR" in out
    assert doctor_machine.cache()["kernels"] == 0


def test_the_cache_is_counted(monkeypatch, tmp_path):
    monkeypatch.setenv("SPIKESIM_CACHE_DIR", str(tmp_path))
    assert doctor_machine.cache()["bytes"] == 0
    (tmp_path / "kernels" / "a.py").write_text("12345")
    (tmp_path / "kernels" / "a.nbi").write_text("123")
    found = doctor_machine.cache()
    assert (found["kernels"], found["bytes"], found["writable"]) == (1, 8, True)


@pytest.mark.parametrize(
    "words,code,message",
    [
        (["--neuron", "LIFF"], 1, "--neuron: given LIFF, known are ALIF"),
        (["--dtype", "int8"], 1, "--dtype: given int8, known are float32, float64, bfloat16, float16"),
        (["--jobs", "0"], 2, "--jobs"),
        (["LIF"], 2, "unexpected extra argument"),
    ],
)
def test_wrong_input_is_named(spikesim, words, code, message):
    found, out, error = spikesim("doctor", *words)
    assert found == code and out == "" and message in " ".join(error.split())


def _result(problem=None, case=CASE):
    deviations = {"values": 1e-7, "gradients": float("nan"), "parameters": 0.0}
    return Result(case, {"single": deviations, "run": deviations, "compared": 64}, problem, 1.0)


def test_an_interrupted_run_is_taken_up_where_it_stopped(spikesim, monkeypatch, tmp_path):
    cases = [CASE, Case("IF", "none", "float32", "forward", "cpu", "-", "-")]
    monkeypatch.setattr(doctor_checks, "cover", lambda *_: cases)
    seen = []

    def evaluate(case):
        seen.append(case)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return _result(case=case)

    monkeypatch.setattr(doctor_checks, "evaluate", evaluate)
    output = tmp_path / "report.json"
    code, _, error = spikesim("doctor", "--jobs", "1", "--output", output)
    assert code == 130 and f"1 of 2 comparisons are kept; give --output {output} again" in error
    assert not output.exists() and (tmp_path / "report.json.part").exists()
    code, _, _ = spikesim("doctor", "--jobs", "1", "--output", output)
    assert code == 0 and len(seen) == 3 and seen[1] == seen[2] != seen[0]
    report = json.loads(output.read_text())
    assert report["equivalence"]["compared"] == 2 and not (tmp_path / "report.json.part").exists()
    assert report["equivalence"]["cases"][0]["single"] == {"values": 1e-7, "gradients": None, "parameters": 0.0}


def test_a_journal_forgets_failures_other_software_and_half_a_line(tmp_path):
    path, other = tmp_path / "a.part", Case("IF", "none", "float32", "forward", "cpu", "-", "-")
    journal = Journal(path, "now")
    assert journal.results() == {}
    journal.add(_result())
    journal.add(_result("broken", other))
    with path.open("a") as file:
        file.write('{"case": {"neuron"')
    assert list(journal.results()) == [CASE]
    journal.add(_result(case=other))
    assert list(journal.results()) == [CASE, other]
    assert Journal(path, "another version").results() == {}
    assert software({"torch": "1"}) != software({"torch": "2"})


def test_work_is_spread_over_processes_and_a_death_is_a_result():
    kill = "__import__('os').kill(__import__('os').getpid(), 9)"
    tasks = [["1 + 1", kill, "2 + 2"], ["__import__('os').getpid()"], ["__import__('sys').exit(5)", "3 + 3"], []]
    found = dict(spread(eval, tasks, 2))
    assert {k: v for k, v in found.items() if not isinstance(v, Died) and "getpid" not in k} == {
        "1 + 1": 2, "2 + 2": 4, "3 + 3": 6,
    }  # fmt: skip
    assert found["__import__('os').getpid()"] != os.getpid()
    assert str(found[kill]) == f"the process died of {signal.Signals(9).name}"
    assert str(found["__import__('sys').exit(5)"]) == "the process ended with code 5"


def test_with_one_job_everything_stays_in_this_process():
    assert list(spread(eval, [["__import__('os').getpid()"], ["1"]], 1)) == [
        ("__import__('os').getpid()", os.getpid()), ("1", 1),
    ]  # fmt: skip
